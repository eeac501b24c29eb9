"""Forms with several slots of one type: what is asked for stands beside what could be confused with it."""

import random

from benchmarks.micro import forms
from benchmarks.micro.parts import Part, part_of
from benchmarks.micro.scene import slots_of

RIVALS = (("subject", "companion", "receiver"), ("object", "other"), ("adj", "other_adj"), ("place", "origin", "goal"))
"""Slots of one type."""
OF_ONE_KIND = ("number", "weather", "sport")
"""Slots whose words are all of one kind: they decide no label."""

_CORES = (
    "{subject} {verb} the {object}",
    "{subject} {verb} the {adj} {object}",
    "{subject} {verb} the {object} near the {other}",
    "{subject} {verb} the {object} instead of the {other}",
    "{subject} {verb} the {adj} {object} and the {other_adj} {other}",
    "{subject} {verb} the {adj} {object} and not the {other_adj} {other}",
    "the {other_adj} {other} stayed and {subject} {verb} the {adj} {object}",
    "it was {subject} who {verb} the {object}",
)
_TAILS = ("{origin} {goal}", "{origin}", "{goal}", "{place}", "{companion}", "{receiver}", "{time}", "{manner}")
_FRONTS = ("{time}", "{place}", "{companion}", "{origin}", "{receiver}")
_FIELDS = (
    "{subject}", "{receiver}", "{companion}", "{adj} {object}", "{object}", "{other_adj} {other}", "{other}",
    "{origin} {goal}", "{place}", "{time}",
)  # fmt: skip
_LIST_JOINS = (" / ", " | ", "; ", " - ", " + ", " * ", " > ", ". ", " or ", " then ", ": ", " & ")
_JOINS = (", ", " / ", " | ", ": ", "; ", " - ", " > ")


def draw_crowded(rng: random.Random, part: Part) -> str:
    """A form of this part with at least two slots of one type."""
    while True:
        form = _sentence(rng) if rng.random() < 0.7 else _record(rng)
        if rivals(form) and part_of("form", form) == part:
            return form


def draw_plain(rng: random.Random, part: Part) -> str:
    """A sentence, phrase or record form of this part, of the demonstrations-only corpus' kinds."""
    while True:
        form = forms.draw_sentence(rng) if rng.random() < 0.6 else forms.draw_record(rng, ())
        if part_of("form", form) == part and form not in forms.HELD_OUT and set(slots_of(form)) - set(OF_ONE_KIND):
            return form


def draw_list(rng: random.Random, part: Part) -> str:
    """A list form of this part: two to four words with a separator."""
    while True:
        slots = [f"{{w{i + 1}}}" for i in range(rng.randint(2, 4))]
        form = rng.choice(_LIST_JOINS).join(slots)
        if part == "corpus" and rng.random() < 0.5:
            form = rng.choice(forms.LISTS)
        if list_part(form) == part:
            return form


def list_part(form: str) -> Part:
    """The part of a list form; those of the families are the corpus'."""
    return "corpus" if form in (*forms.LISTS, forms.WORD) else part_of("form", form)


def rivals(form: str) -> list[tuple[str, ...]]:
    """For each type of which the form has several slots: these slots."""
    have = slots_of(form)
    found = [tuple(slot for slot in group if slot in have) for group in RIVALS]
    return [group for group in found if len(group) > 1]


def _sentence(rng: random.Random) -> str:
    core = rng.choice(_CORES)
    front = rng.sample(_FRONTS, rng.choice((0, 0, 1)))
    tails = rng.sample(_TAILS, rng.choice((0, 1, 1, 2, 2, 3)))
    kept = _without_repeats([*front, core, *tails])
    comma = ", " if front and rng.random() < 0.5 else " "
    return comma.join([kept[0], " ".join(kept[1:])] if len(kept) > 1 else kept) + "."


def _record(rng: random.Random) -> str:
    return rng.choice(_JOINS).join(_without_repeats(rng.sample(_FIELDS, rng.randint(3, 5))))


def _without_repeats(parts: list[str]) -> list[str]:
    """The parts none of whose slots stood before."""
    kept: list[str] = []
    for part in parts:
        if not set(slots_of(part)) & set(slots_of(" ".join(kept))):
            kept.append(part)
    return kept

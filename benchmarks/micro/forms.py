"""Sentence forms of the pretraining corpus, and those that only the benchmark uses."""

import random
import re
from collections.abc import Sequence

SENTENCES = (
    "{subject} {verb} the {object}.",
    "{subject} {verb} the {adj} {object}.",
    "{subject} {verb} the {object} {place}.",
    "{subject} {verb} the {adj} {object} {place}.",
    "{time} {subject} {verb} the {adj} {object}.",
    "{place} {subject} {verb} the {object} {manner}.",
    "{subject} {manner} {verb} the {adj} {object} {time}.",
    "{subject} {verb} {number} {objects} {place}.",
    "{subject} {verb} {number} {adj} {objects} {time}.",
    "{subject} {verb} the {object} {companion} {time}.",
    "{time} {subject} {companion} {verb} the {object} {place}.",
    "what {subject} {verb} was the {adj} {object}.",
    "because of the {weather} {subject} {verb} the {object}.",
    "{subject} {verb} the {adj} {object} after {sport}.",
)
RECORDS = (
    "{subject}: {object}, {place}",
    "{object} / {adj} / {subject}",
    "{adj} {object} for {subject}",
    "{number} {objects} {place}",
    "{time} | {subject} | {object}",
    "{weather} {place} {time}",
    "{subject} plays {sport} {companion}",
)
PHRASES = ("{adj} {object}", "{object} {place}", "{manner} {time}", "{adj} {object} {place}")
WORD = "{w1}"
LISTS = ("{w1} {w2}", "{w1}, {w2}, {w3}", "{w1} {w2} {w3}", "{w1} and {w2}", "{w1}, {w2}, {w3}, {w4}")

# Never in the corpus: neither as inputs nor as outputs.
HELD_OUT = (
    "{time}, {place}, {subject} {verb} the {adj} {object}.",
    "it was {subject} who {verb} the {adj} {object} {place}.",
    "{subject} {verb} the {object} {place} {time} {companion}.",
    "ticket {number}: {adj} {object}, {weather}, {time}",
    "{subject} with a {adj} {object} {verb} {number} {objects}.",
)

_FRONT = ("{time}", "{place}", "because of the {weather}", "after {sport}")
_BACK = ("{place}", "{time}", "{companion}", "{manner}", "after {sport}")
_CORES = (
    "{subject} {verb} the {object}",
    "{subject} {verb} the {adj} {object}",
    "{subject} {verb} {number} {objects}",
    "{subject} {verb} {number} {adj} {objects}",
    "{subject} {manner} {verb} the {object}",
    "{subject} {manner} {verb} the {adj} {object}",
    "what {subject} {verb} was the {object}",
    "there {subject} {verb} the {adj} {object}",
)
_UNITS = (
    "{adj} {object}",
    "{object}",
    "{number} {objects}",
    "{subject}",
    "{place}",
    "{time}",
    "{weather}",
    "{sport}",
    "{adj}",
    "{companion}",
)
_JOINS = (", ", " / ", " | ", ": ", "; ", " - ", " ", " + ")


def draw_sentence(rng: random.Random, fixed: float = 0.3) -> str:
    """A sentence form: one of the list, or phrases in a random order around a core."""
    if rng.random() < fixed:
        return rng.choice(SENTENCES)
    core = rng.choice(_CORES)
    rest = [p for p in dict.fromkeys((*_FRONT, *_BACK)) if p.strip("{}") not in core]
    front = [p for p in rng.sample(_FRONT, rng.choice((0, 0, 0, 1, 1, 2))) if p in rest]
    back = rng.sample([p for p in _BACK if p in rest and p not in front], rng.choice((0, 0, 1, 1, 2)))
    comma = ", " if rng.random() < 0.5 else " "
    form = "".join(p + comma for p in front) + " ".join([core, *back]) + "."
    return rng.choice(SENTENCES) if form in HELD_OUT else form


def draw_record(rng: random.Random, pieces: Sequence[str], fixed: float = 0.25) -> str:
    """A phrase or record form: one of the lists, or a few fields with separators, perhaps behind a heading."""
    if rng.random() < fixed:
        return rng.choice(RECORDS + PHRASES)
    units: list[str] = []
    for unit in rng.sample(_UNITS, rng.randint(2, 4)):
        if not any(slot in " ".join(units) for slot in slots_in(unit)):
            units.append(unit)
    if len(units) < 2:
        return rng.choice(RECORDS + PHRASES)
    join = rng.choice(_JOINS)
    form = units[0] + "".join((join if rng.random() < 0.7 else rng.choice(_JOINS)) + u for u in units[1:])
    if rng.random() < 0.35 and pieces:
        form = (
            rng.choice(pieces) + rng.choice((" ", ": ", " - ", " {number}: " if "{number}" not in form else " ")) + form
        )
    return form


def slots_in(text: str) -> list[str]:
    """The slots of a piece of a form, braces included."""
    return re.findall(r"\{\w+\}", text)

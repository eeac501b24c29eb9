"""Scenes: a sentence form, the word that fills each slot, tense and mood; rendered to text and read back."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from benchmarks.micro.lexicon import NOUN_GROUPS, kind_of, plural, verb_forms, words

TENSES = ("past", "present", "future")
MOODS = ("statement", "question", "denial")
_SLOT = re.compile(r"\{(\w+)\}")

# What may stand in a slot when nothing else is asked for.
SLOT_GROUPS: dict[str, tuple[str, ...]] = {
    "subject": ("name", "job", "animal"),
    "verb": ("verb",),
    "object": NOUN_GROUPS,
    "objects": NOUN_GROUPS,
    "adj": ("color", "size", "quality", "material"),
    "place": ("place",),
    "time": ("time", "weekday", "month"),
    "manner": ("manner", "feeling"),
    "companion": ("name", "job", "animal"),
    "number": ("number",),
    "weather": ("weather",),
    "sport": ("sport",),
    # Second slots of the same type: something to confuse.
    "other": NOUN_GROUPS,
    "other_adj": ("color", "size", "quality", "material"),
    "origin": ("place",),
    "goal": ("place",),
    "receiver": ("name", "job", "animal"),
}
WORD_GROUPS = (
    *NOUN_GROUPS,
    "name",
    "job",
    "color",
    "size",
    "quality",
    "material",
    "place",
    "weather",
    "sport",
    "time",
    "manner",
)
for _slot in ("w1", "w2", "w3", "w4"):
    SLOT_GROUPS[_slot] = WORD_GROUPS


@dataclass(frozen=True, slots=True)
class Scene:
    """A form such as "{subject} {verb} the {object}." with base words in its slots."""

    form: str
    fill: Mapping[str, str] = field(default_factory=dict)
    tense: str = "past"
    mood: str = "statement"

    def text(self) -> str:
        """The sentence."""
        out = _SLOT.sub(lambda m: surface(m[1], self.fill[m[1]], self.tense, self.mood), self.form)
        if self.mood == "question":
            out = f"Did {out}".replace(".", "?")
        return out[0].upper() + out[1:] if self.form.endswith(".") else out

    def value(self, slot: str) -> str:
        """What a slot says as a bare word: the verb in its written form, the plural for `objects`."""
        if slot == "verb":
            return verb_forms()[self.fill[slot]][2 if self.tense == "past" else 1 if self.tense == "present" else 0]
        return plural(self.fill[slot]) if slot == "objects" else self.fill[slot]

    def with_form(self, form: str, tense: str | None = None, mood: str | None = None, **fill: str) -> "Scene":
        """The same scene said differently."""
        return replace(self, form=form, tense=tense or self.tense, mood=mood or self.mood, fill={**self.fill, **fill})


def slots_of(form: str) -> tuple[str, ...]:
    """The slots of a form, in order."""
    return tuple(_SLOT.findall(form))


def surface(slot: str, word: str, tense: str = "past", mood: str = "statement") -> str:
    """How a word is written in a slot of a sentence."""
    if slot == "verb":
        base, third, past, _ = verb_forms()[word]
        if mood != "statement":
            return base if mood == "question" else f"did not {base}"
        return {"past": past, "present": third, "future": f"will {base}"}[tense]
    if slot == "participle":
        return verb_forms()[word][3]
    if slot == "objects":
        return plural(word)
    if slot in ("subject", "companion", "receiver"):
        who = word if kind_of(word).startswith("name") else f"the {word}"
        return who if slot == "subject" else f"{'with' if slot == 'companion' else 'for'} {who}"
    if slot in ("place", "origin", "goal"):
        return f"{ {'place': 'in', 'origin': 'from', 'goal': 'to'}[slot] } the {word}"
    if slot == "time":
        return f"{ {'weekday': 'on', 'month': 'in'}.get(kind_of(word), 'at') } {word}"
    return word


def draw_scene(
    rng: random.Random,
    form: str,
    pools: Mapping[str, Sequence[str]],
    tense: str = "past",
    mood: str = "statement",
) -> Scene:
    """A scene whose slots hold words of random kinds of `pools` (slot -> groups, kinds or single words)."""
    fill = {slot: rng.choice(members(rng.choice(pools.get(slot) or SLOT_GROUPS[slot]))) for slot in slots_of(form)}
    return Scene(form, fill, tense, mood)


@cache
def members(group: str) -> tuple[str, ...]:
    """The words of a group or kind; "=red" stands for the one word "red"."""
    return (group[1:],) if group.startswith("=") else words(group)


def belongs(word: str, group: str) -> bool:
    """Whether a word is a member of a group, a kind or a single-word class."""
    return word in members(group)


def pattern_text(
    form: str, pools: Mapping[str, Sequence[str]], tense: str, mood: str = "statement", named: bool = False
) -> str:
    """A regular expression of the texts that a form has with words of `pools`; `named`: a group for each slot."""

    def group(match: re.Match[str]) -> str:
        slot = match[1]
        texts = {surface(slot, w, tense, mood) for g in pools.get(slot) or SLOT_GROUPS[slot] for w in members(g)}
        words_of_slot = "|".join(sorted(sorted(map(re.escape, texts)), key=len, reverse=True))
        return f"(?P<{slot}>{words_of_slot})" if named else f"(?:{words_of_slot})"

    body = "".join(group(m) if (m := _SLOT.fullmatch(p)) else re.escape(p) for p in re.split(r"(\{\w+\})", form))
    if mood == "question":
        body = f"[Dd]id {body}".replace(r"\.", r"\?")
    return body


@cache
def _pattern(form: str, pools: tuple[tuple[str, tuple[str, ...]], ...], tense: str, mood: str) -> re.Pattern[str]:
    return re.compile(pattern_text(form, dict(pools), tense, mood, named=True), re.IGNORECASE)


def parse(
    text: str, form: str, pools: Mapping[str, Sequence[str]], tense: str = "past", mood: str = "statement"
) -> Scene | None:
    """The scene that a text in this form describes, None when it is not such a text."""
    match = _pattern(form, tuple(sorted((s, tuple(g)) for s, g in pools.items())), tense, mood).fullmatch(text.strip())
    if match is None:
        return None
    fill: dict[str, str] = {}
    for slot, said in match.groupdict().items():
        groups = pools.get(slot) or SLOT_GROUPS[slot]
        found = [w for g in groups for w in members(g) if surface(slot, w, tense, mood).lower() == said.lower()]
        fill[slot] = found[0]
    return Scene(form, fill, tense, mood)

"""The rules behind an episode: which property decides the label, or how the output is made.

The same kind of input goes with contradicting rules from one episode to the next, so only the
demonstrations (and sometimes the instruction) tell which rule holds.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from benchmarks.micro.lexicon import kinds, plural, verb_forms, words
from benchmarks.micro.scene import SLOT_GROUPS, Scene, belongs, draw_scene, slots_of

Pools = Mapping[str, Sequence[str]]


class Sample(NamedTuple):
    """One pair. `focus` is the part of the input that decides the output ("" = all of it)."""

    input: str
    output: str
    focus: str = ""


class Rule(Protocol):
    """Draws pairs that follow one rule; `labels` is empty for generation."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def sample(self, rng: random.Random, label: str | None = None) -> Sample: ...


@dataclass(frozen=True)
class ClassRule:
    """The label is decided by the class to which the word in `slot` belongs.

    `slot` may also be "tense" or "mood", or "list" when every word of a list is of the class.
    """

    forms: tuple[str, ...]
    slot: str
    classes: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    pools: Pools = field(default_factory=dict)
    wrap: str = "{}"

    def sample(self, rng: random.Random, label: str | None = None) -> Sample:
        """A pair of a random class, or of the class called `label`."""
        index = rng.randrange(len(self.classes)) if label is None else self.labels.index(label)
        chosen = self.classes[index]
        form = rng.choice(self.forms)
        if self.slot in ("tense", "mood"):
            scene = draw_scene(rng, form, self.pools, **{self.slot: chosen[0]})
            focus = ""
        elif self.slot == "list":
            scene = draw_scene(rng, form, dict.fromkeys(slots_of(form), chosen))
            focus = ""
        else:
            scene = draw_scene(rng, form, {**self.pools, self.slot: chosen})
            focus = scene.value(self.slot)
        return Sample(scene.text(), self.wrap.format(self.labels[index]), focus)

    def label_of(self, scene: Scene) -> str | None:
        """The label of a scene, None when it belongs to no class (or to two)."""
        if self.slot in ("tense", "mood"):
            hits = [
                name for name, c in zip(self.labels, self.classes, strict=True) if getattr(scene, self.slot) == c[0]
            ]
        else:
            said = list(scene.fill.values()) if self.slot == "list" else [scene.fill[self.slot]]
            hits = [
                label
                for label, groups in zip(self.labels, self.classes, strict=True)
                if all(any(belongs(w, g) for g in groups) for w in said)
            ]
        return self.wrap.format(hits[0]) if len(hits) == 1 else None


@dataclass(frozen=True)
class TemplateRule:
    """The output is a template over the input's slots, such as "{place} - {object}"."""

    forms: tuple[str, ...]
    template: str
    pools: Pools = field(default_factory=dict)
    tense: str = "past"
    labels: tuple[str, ...] = ()

    def sample(self, rng: random.Random, label: str | None = None) -> Sample:
        """A random pair."""
        scene = draw_scene(rng, rng.choice(self.forms), self.pools, self.tense)
        return Sample(scene.text(), self.output_of(scene))

    def output_of(self, scene: Scene) -> str:
        """The template, filled."""
        return self.template.format(**{slot: scene.value(slot) for slot in slots_of(self.template)})


@dataclass(frozen=True)
class FindRule:
    """The output is the one word of `group`, in whichever of `slots` it stands."""

    forms: tuple[str, ...]
    group: str
    slots: tuple[str, ...]
    pools: Pools = field(default_factory=dict)
    wrap: str = "{}"
    labels: tuple[str, ...] = ()
    bias: float = 0.5

    def sample(self, rng: random.Random, label: str | None = None) -> Sample:
        """A random pair; the word stands in the first of the form's slots with probability `bias`."""
        form = rng.choice(self.forms)
        slots = [s for s in slots_of(form) if s in self.slots]
        spot = slots[0] if len(slots) == 1 or rng.random() < self.bias else rng.choice(slots[1:])
        scene = draw_scene(rng, form, {**self.pools, spot: (self.group,)})
        return Sample(scene.text(), self.wrap.format(scene.value(spot)), scene.value(spot))

    def output_of(self, scene: Scene) -> str | None:
        """The word, None when the scene has none or several."""
        found = [s for s in self.slots if s in scene.fill and belongs(scene.fill[s], self.group)]
        return self.wrap.format(scene.value(found[0])) if len(found) == 1 else None


@dataclass(frozen=True)
class RewriteRule:
    """The output says the scene in another form, tense or mood, or with some slots replaced by fixed words."""

    forms: tuple[str, ...]
    target: str
    pools: Pools = field(default_factory=dict)
    tense: str = "past"
    to_tense: str = "past"
    to_mood: str = "statement"
    fixed: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def sample(self, rng: random.Random, label: str | None = None) -> Sample:
        """A random pair."""
        scene = draw_scene(rng, rng.choice(self.forms), self.pools, self.tense)
        return Sample(scene.text(), self.output_of(scene))

    def output_of(self, scene: Scene) -> str:
        """The rewritten sentence."""
        return scene.with_form(self.target, self.to_tense, self.to_mood, **dict(self.fixed)).text()


WordChange = Literal["plural", "singular", "past", "third", "participle", "base"]


@dataclass(frozen=True)
class WordRule:
    """The output is another form of a single word."""

    change: WordChange
    group: str
    wrap: str = "{}"
    labels: tuple[str, ...] = ()

    def sample(self, rng: random.Random, label: str | None = None) -> Sample:
        """A random pair."""
        word = rng.choice(words(self.group))
        if self.change in ("plural", "singular"):
            pair = (word, plural(word))
            pair = pair if self.change == "plural" else (pair[1], pair[0])
        else:
            base, third, past, participle = verb_forms()[word]
            pair = {
                "past": (base, past),
                "third": (past, third),
                "participle": (third, participle),
                "base": (past, base),
            }[self.change]
        return Sample(pair[0], self.wrap.format(pair[1]))


def other_pools(rng: random.Random, slots: Sequence[str], skip: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """For every slot a few of the kinds that may stand there: the world of one episode."""
    pools: dict[str, tuple[str, ...]] = {}
    for slot in slots:
        if slot not in skip:
            choices = [k for g in SLOT_GROUPS[slot] for k in kinds(g)]
            pools[slot] = tuple(rng.sample(choices, min(len(choices), rng.choice((1, 2, 2, 3)))))
    return pools

"""Demonstrations that fit two rules: only the instruction says which one holds for the last input."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.micro.crowded import OF_ONE_KIND, draw_list
from benchmarks.micro.lexicon import kinds
from benchmarks.micro.paraphrases import draw_paraphrase
from benchmarks.micro.parts import Part
from benchmarks.micro.rules import ClassRule, FindRule, Sample, TemplateRule
from benchmarks.micro.scene import WORD_GROUPS, parse, slots_of
from benchmarks.micro.stated_labels import Classes, draw_classes, draw_labelled


@dataclass(frozen=True)
class Ambiguous:
    """Demonstrations on which two rules agree, and an input (`query`) on which they do not.

    `other_output` is what the rule that the instruction does not state would give for the query.
    """

    instruction: str
    samples: tuple[Sample, ...]
    query: Sample
    other_output: str
    labelled: bool


def draw_ambiguous(rng: random.Random, part: Part, pieces: Sequence[str], shots: int) -> Ambiguous:
    """An ambiguous episode of `part` with `shots` demonstrations."""
    return _positions(rng, part, shots) if rng.random() < 0.3 else _slots(rng, part, pieces, shots)


def _slots(rng: random.Random, part: Part, pieces: Sequence[str], shots: int) -> Ambiguous:
    """Two slots could decide the label."""
    while True:
        stated = draw_labelled(rng, part, pieces, rng.choice(("named", "bound", "bound")))
        rule = stated.rule
        assert isinstance(rule, ClassRule)
        rivals = [s for s in slots_of(rule.forms[0]) if s not in (rule.slot, *OF_ONE_KIND)]
        if len(rule.classes) == 2 and rivals:
            break
    against = _two_classes(rng, rule.forms[0], part, rng.choice(rivals))

    def sample(label: int, rival: int) -> Sample:
        bound = replace(rule, pools={**rule.pools, against.slot: against.groups[rival]})
        return bound.sample(rng, rule.labels[label])

    order = [0, 1] + [rng.randrange(2) for _ in range(shots - 2)]
    rng.shuffle(order)
    asked = rng.randrange(2)
    samples = tuple(sample(label, label) for label in order[:shots])
    return Ambiguous(stated.instruction, samples, sample(asked, 1 - asked), rule.labels[1 - asked], True)


def _two_classes(rng: random.Random, form: str, part: Part, slot: str) -> Classes:
    while True:
        classes = draw_classes(rng, form, part, slot)
        if len(classes.groups) == 2:
            return classes


def _positions(rng: random.Random, part: Part, shots: int) -> Ambiguous:
    """The word of a kind, or the word at a position, could be the answer."""
    form = draw_list(rng, part)
    slots = slots_of(form)
    group = rng.choice(WORD_GROUPS)
    others = [k for g in WORD_GROUPS if g != group for k in kinds(g)]
    slot = rng.choice(slots[:3])
    pools = {s: tuple(rng.sample(others, 4)) for s in slots}
    at_slot = {**pools, slot: (group,)}
    elsewhere = rng.choice([s for s in slots if s != slot])
    by_position = TemplateRule((form,), "{" + slot + "}", at_slot)
    by_kind = FindRule((form,), group, (elsewhere,), pools)
    if rng.random() < 0.5:
        instruction = draw_paraphrase(rng, "find", group, part)
        query = by_kind.sample(rng)
        other = _words(form, query.input)[slots.index(slot)]
    else:
        instruction = draw_paraphrase(rng, "value", slot, part)
        found = by_kind.sample(rng)
        query, other = Sample(found.input, _words(form, found.input)[slots.index(slot)]), found.output
    return Ambiguous(instruction, tuple(by_position.sample(rng) for _ in range(shots)), query, other, False)


def _words(form: str, text: str) -> list[str]:
    scene = parse(text, form, {})
    assert scene is not None
    return list(scene.fill.values())

"""An episode by its purpose: what a model is to learn from it decides the rule, the instruction and what counts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.micro import episodes
from benchmarks.micro.ambiguous import draw_ambiguous
from benchmarks.micro.chatty import chat, likelihood
from benchmarks.micro.crowded import list_part
from benchmarks.micro.episodes import FAMILIES, Episode, Span, draw_samples, input_episode
from benchmarks.micro.instructions import draw_instruction
from benchmarks.micro.mixture import PURPOSES, Mixture
from benchmarks.micro.names import names_of
from benchmarks.micro.parts import Part, part_of, part_of_classes
from benchmarks.micro.rules import ClassRule, RewriteRule, Rule, Sample
from benchmarks.micro.stated import Stated
from benchmarks.micro.stated_labels import draw_labelled
from benchmarks.micro.stated_texts import draw_extraction, draw_find, draw_rewriting
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, plain_completion

TERSE = 0.2
"""Weight of the token behind an answer that begins the next field: the answer is complete."""
LABEL, TEXT = 4.0, 2.0
"""Weight of a token of an answer. One of an input written for a label counts 1, and there are ten times as many."""


def draw_episode(rng: random.Random, mixture: Mixture, pieces: Sequence[str], longest: bool = False) -> Episode:
    """A random episode. `longest`: as many demonstrations as fit a long row, where nothing is stated."""
    if not mixture.by_purpose:
        return episodes.draw_episode(rng, mixture, pieces, longest)
    purpose = rng.choices(PURPOSES, [getattr(mixture, name) for name in PURPOSES])[0]
    return _BY_PURPOSE[purpose](rng, mixture, pieces)


@dataclass(frozen=True)
class Answers:
    """Pairs under one instruction, the first `unknown` of which nobody could answer yet."""

    instruction: str
    samples: Sequence[Sample]
    labelled: bool
    unknown: int = 0
    emphasis: float = 1.0
    synonyms: Sequence[tuple[str, Sequence[str]]] = ()


def answered(rng: random.Random, answers: Answers, chatty: float) -> Episode:
    """Outputs to be given, all at full loss that can be known; a chatty answer is the last one."""
    full = answers.emphasis * (LABEL if answers.labelled else TEXT)
    spans: list[Span] = []
    demonstrations: list[Example] = []
    text, synonyms = "", dict(answers.synonyms)
    for i, sample in enumerate(answers.samples):
        prompt = AnswerPrompt(answers.instruction, tuple(demonstrations), sample.input).plain()
        if i:
            spans.append(Span(len(text), len(text) + 2, TERSE))
        talks = i >= answers.unknown and rng.random() < chatty * likelihood(answers.instruction, sample.input, i)
        output = chat(rng, sample.output, synonyms.get(sample.output, ())) if talks else sample.output
        text = prompt + plain_completion(output)
        spans.append(Span(len(prompt), len(text), full if i >= answers.unknown else 0.0))
        if talks:
            break
        demonstrations.append(Example(sample.input, output))
    return Episode(text, tuple(spans))


def _answers(stated: Stated, samples: Sequence[Sample], instruction: str = "", unknown: int = 0) -> Answers:
    rule = stated.rule
    synonyms = (
        [(label, names_of(groups)) for label, groups in zip(rule.labels, rule.classes, strict=True)]
        if isinstance(rule, ClassRule)
        else []
    )
    others = [(label, [name for name in names if name != label]) for label, names in synonyms]
    return Answers(instruction or stated.instruction, samples, bool(rule.labels), unknown, synonyms=others)


def _stated(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> Episode:
    kind = rng.random()
    if kind < 0.6:
        stated = draw_labelled(rng, "corpus", pieces)
    else:
        draw = rng.choices((draw_extraction, draw_find, draw_rewriting), (5, 3, 4))[0]
        stated = draw(rng, "corpus")
    shots = 0 if rng.random() < mixture.zero_shot else rng.randint(1, 5)
    return answered(rng, _answers(stated, draw_samples(rng, stated.rule, shots + 1)[: shots + 1]), mixture.chatty)


def _distracted(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> Episode:
    stated = (draw_extraction if rng.random() < 0.65 else draw_rewriting)(rng, "corpus")
    told = rng.random() < 0.75
    instruction = stated.instruction if told else draw_instruction(rng, stated.rule, hint=0.0)
    samples = draw_samples(rng, stated.rule, rng.randint(2, 7))
    return answered(rng, _answers(stated, samples, instruction, 0 if told else 1), mixture.chatty)


def _ambiguous(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> Episode:
    drawn = draw_ambiguous(rng, "corpus", pieces, rng.randint(2, 5))
    samples = (*drawn.samples, drawn.query)
    # The demonstrations teach nothing here; the query is what both readings of them answer differently.
    return answered(rng, Answers(drawn.instruction, samples, drawn.labelled, len(samples) - 1, 2.0), 0.0)


def _demonstrated(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> Episode:
    family, rule = shown_rule(rng, mixture, pieces)
    short = family in ("recall", "word", "lists", "short", "word_change")
    count = 3 * len(rule.labels) if family == "recall" else rng.randint(5, 12) if short else rng.randint(4, 8)
    samples = draw_samples(rng, rule, count)
    return episodes.answer_episode(rng, draw_instruction(rng, rule, hint=0.0), samples, bool(rule.labels))


def shown_rule(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> tuple[str, Rule]:
    """A family's name and a rule of it for which nothing is used that the drawn tasks keep."""
    names = list(FAMILIES)
    while True:
        family = rng.choices(names, [getattr(mixture, name) for name in names])[0]
        rule = FAMILIES[family](rng, pieces, mixture)
        if _may_be_shown(rule):
            return family, rule


def _may_be_shown(rule: Rule) -> bool:
    forms = [*getattr(rule, "forms", ()), *([rule.target] if isinstance(rule, RewriteRule) else [])]
    if any((list_part if "{w1}" in form else _form_part)(form) != "corpus" for form in forms):
        return False
    if isinstance(rule, ClassRule) and part_of_classes(rule.classes) != "corpus":
        return False
    return not any(part_of("label word", label) != "corpus" for label in rule.labels)


def _form_part(form: str) -> Part:
    return part_of("form", form)


def _conditioned(rng: random.Random, mixture: Mixture, pieces: Sequence[str]) -> Episode:
    if rng.random() < 0.2:  # inputs of a task without labels
        stated = (draw_extraction if rng.random() < 0.5 else draw_rewriting)(rng, "corpus")
    else:
        stated = draw_labelled(rng, "corpus", pieces)
    told = rng.random() < 0.7
    instruction = stated.instruction if told else draw_instruction(rng, stated.rule, hint=0.0)
    samples = draw_samples(rng, stated.rule, rng.randint(4, 8))
    return input_episode(rng, stated.rule, instruction, samples, told, rest=1.0)


_BY_PURPOSE: dict[str, Callable[[random.Random, Mixture, Sequence[str]], Episode]] = {
    "stated": _stated,
    "demonstrated": _demonstrated,
    "conditioned": _conditioned,
    "distracted": _distracted,
    "ambiguous": _ambiguous,
}

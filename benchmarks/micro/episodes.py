"""Episodes: the project's own prompts with their completions, and how much each stretch of text counts in the loss."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.micro import families
from benchmarks.micro.instructions import draw_instruction
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.rules import Rule, Sample
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, plain_completion

Family = Callable[[random.Random, Sequence[str], Mixture], Rule]


FAMILIES: dict[str, Family] = {
    "recall": families.recall,
    "word": families.word_class,
    "lists": families.list_class,
    "short": families.short_class,
    "sentence": families.sentence_class,
    "template": families.template,
    "find": families.find,
    "rewrite": families.rewrite,
    "word_change": families.word_change,
}


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` count `weight` in the loss; text outside of spans does not count."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Episode:
    """A text as a model sees it in use, with its loss spans; the end-of-sequence token counts as the last span."""

    text: str
    spans: tuple[Span, ...]


def draw_episode(rng: random.Random, mixture: Mixture, pieces: Sequence[str], longest: bool = False) -> Episode:
    """A random episode of the mixture. `longest`: as many demonstrations as fit a long row."""
    names = list(FAMILIES)
    family = rng.choices(names, [getattr(mixture, n) for n in names])[0]
    rule = FAMILIES[family](rng, pieces, mixture)
    instruction = draw_instruction(rng, rule)
    short = family in ("recall", "word", "lists", "short", "word_change")
    count = 3 * len(rule.labels) if family == "recall" else rng.randint(6, 16) if short else rng.randint(4, 10)
    samples = draw_samples(rng, rule, count * 2 if longest else count)
    if rng.random() < mixture.write_inputs:
        return input_episode(rng, rule, instruction, samples)
    return answer_episode(rng, instruction, samples, bool(rule.labels))


def draw_samples(rng: random.Random, rule: Rule, count: int) -> list[Sample]:
    """`count` pairs of a rule; every label comes once before any label dominates."""
    order: list[str | None] = list(rule.labels) or [None]
    rng.shuffle(order)
    order += [rng.choice(rule.labels) if rule.labels else None for _ in range(count - len(order))]
    head = order[: len(rule.labels) + 2]
    rng.shuffle(head)
    samples: list[Sample] = []
    for label in [*head, *order[len(head) :]]:
        for _ in range(4):
            sample = rule.sample(rng, label)
            if all(sample.input != s.input for s in samples):
                break
        samples.append(sample)
    return samples


def answer_episode(rng: random.Random, instruction: str, samples: Sequence[Sample], classification: bool) -> Episode:
    """Outputs to be given: every output counts, those that could not be known hardly."""
    demonstrations = tuple(Example(s.input, s.output) for s in samples)
    inputs_weight = 0.1 if rng.random() < 0.2 else 0.0
    spans: list[Span] = []
    text, seen = "", set[str]()
    for i, demonstration in enumerate(demonstrations):
        prompt = AnswerPrompt(instruction, demonstrations[:i], demonstration.input).plain()
        if i and inputs_weight:
            spans.append(Span(len(text), len(prompt), inputs_weight))
        elif i:
            spans.append(Span(len(text), len(text) + 2, 0.2))  # the next field: the answer is complete
        text = prompt + plain_completion(demonstration.output)
        guessable = demonstration.output in seen if classification else i > 0
        listed = classification and "Labels:" in instruction
        # A label is one or two tokens in a hundred, and all that classification can learn from.
        full = 2.0 if classification else 1.0
        spans.append(Span(len(prompt), len(text), full if guessable else 0.3 if listed else 0.0))
        seen.add(demonstration.output)
    return Episode(text, tuple(spans))


def input_episode(
    rng: random.Random,
    rule: Rule,
    instruction: str,
    samples: Sequence[Sample],
    told: bool = False,
    rest: float = 0.12,
) -> Episode:
    """Inputs to be written: every input after the first ones counts, most of all the part that decides its output.

    `told`: the instruction says what the labels mean. `rest`: weight of what does not decide.
    """
    labelled = bool(rule.labels)
    show = labelled or rng.random() < 0.4
    drafts = tuple(rule.sample(rng).input for _ in range(rng.randint(1, 5))) if rng.random() < 0.4 else ()
    examples = tuple(Example(s.input, s.output) for s in samples)
    spans: list[Span] = []
    text, seen = "", set[str]()
    for i, (example, sample) in enumerate(zip(examples, samples, strict=True)):
        label = example.output if show else None
        prompt = InputPrompt(instruction, examples[:i], drafts, label, show).plain()
        text = prompt + plain_completion(example.input)
        known = i > 1 if not labelled else example.output in seen or (told and i > 0)
        spans.append(Span(len(prompt), len(text), rest if known else 0.0))
        start = text.rfind(sample.focus, len(prompt))
        if known and labelled and start > 0:
            end = start + len(sample.focus) if sample.focus else len(text)
            spans.append(Span(start - 1 if sample.focus else len(prompt), end, 1.0))
        seen.add(example.output)
    return Episode(text, tuple(spans))

"""Step 3, second half: which answers may vote, and what they elect (self-consistency). Pure.

Samples vote for their answer as the task's metric reads it (label, number, span, whole text), not for their wording;
with `annotation.vote_on=texts`, as the reference does, for their wording, and the text that wins must be a label.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from selfguide.config.schema import AnnotationConfig, FiltersConfig
from selfguide.core.text import strip_quotes
from selfguide.core.types import TaskSpec
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.filters import Filter, first_reason, output_filters
from selfguide.tasks.metrics import answer_in


def elect(
    task: TaskSpec, candidates: Sequence[Candidate], config: AnnotationConfig, filters: FiltersConfig
) -> list[Candidate]:
    """The candidates with `output` and `share`, or with the reason why no answer won."""
    checks = output_filters(task, filters)
    return [
        candidate if candidate.dropped is not None else _elect_one(task, candidate, config, filters, checks)
        for candidate in candidates
    ]


def _elect_one(
    task: TaskSpec,
    candidate: Candidate,
    config: AnnotationConfig,
    filters: FiltersConfig,
    checks: Sequence[Filter],
) -> Candidate:
    voters = best_samples(candidate.samples, config.samples)
    judged = tuple(_judge(sample, partial(_answer, task, config), filters, checks) for sample in voters)
    answers = [sample.answer for sample in judged if sample.answer is not None]
    # The label that the input was written for: an answer of the same model, asked the other way round.
    asked = None if candidate.label is None else _answer(task, config, candidate.label)
    extra = [asked] * config.conditioning_label_weight if asked is not None and answers else []
    answers += extra
    requested = config.samples + len(extra) if config.share_of == "requested" else len(answers)
    winner, share = majority(answers, requested)
    dropped = None
    if winner is None:
        reasons = Counter(sample.dropped for sample in judged)
        dropped = f"no_answer_{reasons.most_common(1)[0][0]}"
    elif share < config.min_share:
        dropped = "low_consistency"
    elif task.is_classification and winner not in task.labels:
        winner, dropped = None, "no_label"
    output = None if winner is None else _output(task, winner, judged, filters) or candidate.label
    return replace(candidate, samples=judged, output=output, share=share, dropped=dropped)


def sample_share(task: TaskSpec, candidate: Candidate, config: AnnotationConfig) -> float:
    """Share of the samples that gave the elected answer: `share` without the votes of the conditioning label."""
    answers = [sample.answer for sample in candidate.samples if sample.answer is not None]
    requested = config.samples if config.share_of == "requested" else len(answers)
    elected = None if candidate.output is None else _answer(task, config, candidate.output)
    return answers.count(elected or "") / requested if requested else 0.0


def best_samples(samples: Sequence[Sample], keep: int) -> tuple[Sample, ...]:
    """The `keep` most likely answers (cumulative log-probability), in the order they were sampled."""
    ranked = sorted(range(len(samples)), key=lambda index: (-likelihood(samples[index]), index))[:keep]
    return tuple(samples[index] for index in sorted(ranked))


def judged_samples(task: TaskSpec, samples: Sequence[Sample], filters: FiltersConfig) -> tuple[Sample, ...]:
    """The samples with the answer that they vote for, or why they do not vote."""
    checks = output_filters(task, filters)
    return tuple(_judge(sample, partial(answer_in, task), filters, checks) for sample in samples)


def likelihood(sample: Sample) -> float:
    """By which samples are ranked: last of all where the model gave no number, or the answer was cut off."""
    unknown = sample.logprob is None or math.isnan(sample.logprob) or sample.dropped is not None
    return -math.inf if unknown else float(sample.logprob or 0.0)


def majority(answers: Sequence[str], requested: int) -> tuple[str | None, float]:
    """The commonest answer and its share of `requested`; ties go to the shorter, then to the first in order."""
    if not answers:
        return None, 0.0
    votes = Counter(answers)
    winner = min(votes, key=lambda answer: (-votes[answer], len(answer), answer))
    return winner, votes[winner] / requested


def _answer(task: TaskSpec, config: AnnotationConfig, text: str) -> str | None:
    """What a text votes for."""
    return text if config.vote_on == "texts" else answer_in(task, text)


def _judge(
    sample: Sample, read: Callable[[str], str | None], filters: FiltersConfig, checks: Sequence[Filter]
) -> Sample:
    text = text_of(sample, filters)
    reason = sample.dropped or first_reason(checks, text)
    if reason is not None:
        return replace(sample, dropped=reason)
    answer = read(text)
    return replace(sample, dropped="no_label") if answer is None else replace(sample, answer=answer)


def text_of(sample: Sample, filters: FiltersConfig) -> str:
    """The answer as it is judged and trained on."""
    return strip_quotes(sample.text) if filters.strip_quotes else sample.text.strip()


def _output(task: TaskSpec, answer: str, samples: Sequence[Sample], filters: FiltersConfig) -> str | None:
    """What is trained on: the label, or the text that gives the answer (the commonest, most likely, shortest one)."""
    if task.is_classification:
        return answer
    texts: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.answer == answer:
            texts.setdefault(text_of(sample, filters), []).append(sample)
    return min(
        texts, key=lambda text: (-len(texts[text]), -max(map(likelihood, texts[text])), len(text), text), default=None
    )

"""Step 3, second half: which answers may vote, and what they elect (self-consistency). Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from selfguide.config.schema import AnnotationConfig, FiltersConfig
from selfguide.core.text import strip_quotes
from selfguide.core.types import TaskSpec
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.filters import Filter, first_reason, output_filters
from selfguide.tasks.labels import extract_label


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
    judged = tuple(_judge(task, sample, filters, checks) for sample in voters)
    answers = [sample.answer for sample in judged if sample.answer is not None]
    # The label that the input was written for: an answer of the same model, asked the other way round.
    extra = [candidate.label] * config.conditioning_label_weight if candidate.label is not None and answers else []
    answers += extra
    requested = config.samples + len(extra) if config.share_of == "requested" else len(answers)
    winner, share = majority(answers, requested)
    dropped = None
    if winner is None:
        reasons = Counter(sample.dropped for sample in judged)
        dropped = f"no_answer_{reasons.most_common(1)[0][0]}"
    elif share < config.min_share:
        dropped = "low_consistency"
    return replace(candidate, samples=judged, output=winner, share=share, dropped=dropped)


def sample_share(candidate: Candidate, config: AnnotationConfig) -> float:
    """Share of the samples that gave the elected answer: `share` without the votes of the conditioning label."""
    answers = [sample.answer for sample in candidate.samples if sample.answer is not None]
    requested = config.samples if config.share_of == "requested" else len(answers)
    return answers.count(candidate.output or "") / requested if requested else 0.0


def best_samples(samples: Sequence[Sample], keep: int) -> tuple[Sample, ...]:
    """The `keep` most likely answers (cumulative log-probability), in the order they were sampled."""
    ranked = sorted(range(len(samples)), key=lambda index: (-_likelihood(samples[index]), index))[:keep]
    return tuple(samples[index] for index in sorted(ranked))


def _likelihood(sample: Sample) -> float:
    """Last of all where the model gave no number."""
    return -math.inf if sample.logprob is None or math.isnan(sample.logprob) else sample.logprob


def majority(answers: Sequence[str], requested: int) -> tuple[str | None, float]:
    """The commonest answer and its share of `requested`; ties go to the shorter, then to the first in order."""
    if not answers:
        return None, 0.0
    votes = Counter(answers)
    winner = min(votes, key=lambda answer: (-votes[answer], len(answer), answer))
    return winner, votes[winner] / requested


def _judge(task: TaskSpec, sample: Sample, filters: FiltersConfig, checks: Sequence[Filter]) -> Sample:
    text = strip_quotes(sample.text) if filters.strip_quotes else sample.text.strip()
    reason = first_reason(checks, text)
    if reason is not None:
        return replace(sample, dropped=reason)
    if not task.is_classification:
        return replace(sample, answer=text)
    label = extract_label(text, task.labels, task.label_extraction)
    return replace(sample, dropped="no_label") if label is None else replace(sample, answer=label)

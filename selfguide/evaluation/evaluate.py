"""Scores with intervals: the only stage that is handed gold.

The references stay in this module; what goes to an engine is inputs, what goes to the store is
answers, and scores are computed anew each time (they cost nothing).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfguide.config.schema import EvaluationConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Instance, TaskSpec
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import Predict, Prediction, Query, System
from selfguide.evaluation.statistics import Gain, Interval, bootstrap_mean, paired_gain
from selfguide.models.session import Session
from selfguide.tasks.metrics import score_task

# Apart from the run's seed: the same answers have the same interval in every run.
STATISTICS_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One model's answers and their scores, in the order of the instances."""

    predictions: tuple[Prediction, ...]
    scores: tuple[float, ...]
    score: Interval
    canary: Mapping[str, Any] | None = None  # the verdict on the weights that answered


def choose_instances(instances: Sequence[Instance], limit: int | None, seed: int) -> tuple[Instance, ...]:
    """All, or a seeded sample of `limit` in the order of the split."""
    if limit is None or limit >= len(instances):
        return tuple(instances)
    indices = sorted(child_random(seed, "evaluation", "limit").sample(range(len(instances)), limit))
    return tuple(instances[index] for index in indices)


def evaluate(
    session: Session, name: str, instances: Sequence[Instance], systems: Mapping[str, System]
) -> dict[str, Evaluated]:
    """Answers and scores of each system; all that are prompted go through the engine as one stream of requests."""
    config = session.config.evaluation
    # A name for an epoch and one for the chosen epoch may be the same weights: asked once.
    unique = {system.stage_identity: system for system in systems.values()}
    canary = {key: trusted(session, system.weights) for key, system in unique.items() if system.weights is not None}
    done = session.run(name, Predict(session.student, session.task, config, queries_of(instances, unique.values())))
    if done.info["too_long"]:
        session.terminal.warn(
            f"{done.info['too_long']} evaluation prompts exceed the model's context and count as wrong"
        )
    rows = batched(done.value, len(instances))
    results = {
        key: replace(scored(session.task, instances, next(rows), config), canary=canary.get(key)) for key in unique
    }
    return {name: results[system.stage_identity] for name, system in systems.items()}


def queries_of(instances: Sequence[Instance], systems: Iterable[System]) -> tuple[Query, ...]:
    """Every instance for the first system, then for the next; without the references, which no model may see."""
    unlabelled = [Instance(instance.id, instance.input, ()) for instance in instances]
    return tuple(Query(instance, system) for system in systems for instance in unlabelled)


def batched(predictions: Sequence[Prediction], size: int) -> Iterator[tuple[Prediction, ...]]:
    """The predictions of one system after the other, `size` each."""
    return (tuple(predictions[start : start + size]) for start in range(0, len(predictions), size))


def scored(
    task: TaskSpec, instances: Sequence[Instance], predictions: tuple[Prediction, ...], config: EvaluationConfig
) -> Evaluated:
    """The predictions, one for each instance, scored against its references by the metric of `task`."""
    scores = tuple(
        score_task(task, prediction.text, instance) for prediction, instance in zip(predictions, instances, strict=True)
    )
    interval = bootstrap_mean(scores, resamples=config.bootstrap, confidence=config.confidence, seed=STATISTICS_SEED)
    return Evaluated(predictions, scores, interval)


def gain(base: Evaluated, tuned: Evaluated, config: EvaluationConfig) -> Gain:
    """Tuned minus base on the same instances: mean difference, interval, p-value."""
    return paired_gain(
        tuned.scores,
        base.scores,
        resamples=config.bootstrap,
        confidence=config.confidence,
        seed=STATISTICS_SEED,
    )

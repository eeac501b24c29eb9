"""Scores with intervals: the only stage that is handed gold.

The references stay in this module; what goes to an engine is inputs, what goes to the store is
answers, and scores are computed anew each time (they cost nothing).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_random
from selfguide.core.types import Instance, TaskSpec
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import Prediction, Query, System, predict
from selfguide.evaluation.statistics import Gain, Interval, bootstrap_mean, paired_gain
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Stage, StoredStage, Workspace, fingerprint, journal_tokens, keyed
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


def inputs_hash(instances: Sequence[Instance]) -> str:
    """What of the instances decides an answer; the texts themselves are not written into the store."""
    return fingerprint([(instance.id, instance.input) for instance in instances])


@dataclass(frozen=True)
class Predict(Stage[list[tuple[Prediction, ...]]]):
    """Step 6: the answers of each system to each instance; greedy, so no seed is among the inputs."""

    kind: ClassVar[str] = "predictions"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    evaluation: EvaluationConfig
    instances: tuple[Instance, ...] = field(metadata=keyed(inputs_hash))
    systems: tuple[System, ...]

    def build(self, work: Workspace) -> dict[str, Any]:
        total = len(self.instances) * len(self.systems)
        with work.journal() as journal, work.bar(f"evaluation ({work.name})", total, "answers") as bar:
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            prompted = [system for system in self.systems if system.predictor is None]
            queries = [Query(instance, system) for system in prompted for instance in self.instances]
            # Without a query no engine is started.
            given = predict(self.model, self.task, self.evaluation, queries, journal, bar.advance) if queries else []
            stream, spent = iter(given), [journal_tokens(journal)]
            too_long = sum(prediction.too_long for prediction in given)
            for number, system in enumerate(self.systems):
                if system.predictor is None:
                    texts = [next(stream).text for _ in self.instances]
                else:
                    with work.journal(f"journal-{number}.jsonl") as units:
                        texts = system.predictor.answer([i.input for i in self.instances], units, bar.advance)
                        spent.append(journal_tokens(units))
                rows = ({"id": i.id, "text": text} for i, text in zip(self.instances, texts, strict=True))
                write_jsonl(work.path / f"predictions-{number}.jsonl", rows)
        known = [kind for kind in spent[0] if all(kind in tokens for tokens in spent)]
        return {"tokens": {kind: sum(tokens[kind] for tokens in spent) for kind in known}, "too_long": too_long}

    def load(self, stored: StoredStage) -> list[tuple[Prediction, ...]]:
        files = [stored.path / f"predictions-{number}.jsonl" for number in range(len(self.systems))]
        return [predictions_in(read_jsonl(file)) for file in files]


def evaluate(
    session: Session, name: str, instances: Sequence[Instance], systems: Mapping[str, System]
) -> dict[str, Evaluated]:
    """Answers and scores of each system; all that are prompted go through the engine as one stream of requests."""
    config = session.config.evaluation
    # A name for an epoch and one for the chosen epoch may be the same weights: asked once.
    unique = {system.stage_identity: system for system in systems.values()}
    canary = {key: trusted(session, system.weights) for key, system in unique.items() if system.weights is not None}
    stage = Predict(session.student, session.task, config, without_references(instances), tuple(unique.values()))
    done = session.run(name, stage)
    if done.info["too_long"]:
        session.terminal.warn(
            f"{done.info['too_long']} evaluation prompts exceed the model's context and count as wrong"
        )
    results = {
        key: replace(scored(session.task, instances, predictions, config), canary=canary.get(key))
        for key, predictions in zip(unique, done.value, strict=True)
    }
    return {name: results[system.stage_identity] for name, system in systems.items()}


def without_references(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """What a model may see of them."""
    return tuple(Instance(instance.id, instance.input, ()) for instance in instances)


def predictions_in(rows: Iterable[Mapping[str, str]]) -> tuple[Prediction, ...]:
    """Of rows {id, text}."""
    return tuple(Prediction(row["id"], row["text"]) for row in rows)


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

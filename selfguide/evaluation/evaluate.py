"""Scores with intervals: the only stage that is handed gold.

The references stay in this module; what goes to an engine is inputs, what goes to the store is
answers, and scores are computed anew each time (they cost nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.config.schema import EvaluationConfig
from selfguide.engines.base import Weights
from selfguide.evaluation.metrics import score_task
from selfguide.evaluation.predict import Prediction, predict
from selfguide.evaluation.statistics import Gain, Interval, bootstrap_mean, paired_gain
from selfguide.seeding import child_random
from selfguide.session import Session, fields_of
from selfguide.stages import fingerprint, journal_tokens
from selfguide.store.atomic import Journal, read_jsonl, write_jsonl
from selfguide.types import Instance, TaskSpec

BASE = "base"
# Apart from the run's seed: the same answers have the same interval in every run.
STATISTICS_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One model's answers and their scores, in the order of the instances."""

    predictions: tuple[Prediction, ...]
    scores: tuple[float, ...]
    score: Interval


def choose_instances(instances: Sequence[Instance], limit: int | None, seed: int) -> tuple[Instance, ...]:
    """All, or a seeded sample of `limit` in the order of the split."""
    if limit is None or limit >= len(instances):
        return tuple(instances)
    places = sorted(child_random(seed, "evaluation", "limit").sample(range(len(instances)), limit))
    return tuple(instances[place] for place in places)


def evaluate(
    session: Session, name: str, instances: Sequence[Instance], variants: Mapping[str, Weights | None]
) -> dict[str, Evaluated]:
    """Answers and scores of each variant (None: the base model), asked in one stream of requests."""
    config = session.config.evaluation
    names = list(variants)
    spec = {
        **session.base_spec(version=1),
        "instances": fingerprint([(i.id, i.input) for i in instances]),
        "variants": [BASE if weights is None else weights.name for weights in variants.values()],
        "evaluation": fields_of(config, only=("max_new_tokens", "decoding")),
    }
    # Greedy answers do not depend on the seed of the run.
    del spec["seed"]

    def build(work: Path) -> dict[str, Any]:
        canary = {}
        if config.canary:
            from selfguide.evaluation.canary import verify

            canary = {variant: verify(session, weights) for variant, weights in variants.items() if weights is not None}
        total = len(instances) * len(names)
        with (
            Journal(work / "journal.jsonl") as journal,
            session.terminal.bar(f"evaluation ({', '.join(names)})", total, "answers") as bar,
        ):
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            answers = predict(
                session.engine,
                session.tokenizer,
                session.task,
                instances,
                list(variants.values()),
                config,
                journal,
                bar.advance,
            )
            for place, rows in enumerate(answers):
                write_jsonl(work / f"predictions-{place}.jsonl", ({"id": p.id, "text": p.text} for p in rows))
            return {
                "tokens": journal_tokens(journal),
                "canary": canary,
                "too_long": sum(prediction.too_long for rows in answers for prediction in rows),
            }

    stage = session.stage(name, "predictions", spec, build)
    if stage.info["too_long"]:
        session.terminal.warn(
            f"{stage.info['too_long']} evaluation prompts exceed the model's context and count as wrong"
        )
    return {
        variant: scored(session.task, instances, stage.path / f"predictions-{place}.jsonl", config)
        for place, variant in enumerate(names)
    }


def scored(task: TaskSpec, instances: Sequence[Instance], file: Path, config: EvaluationConfig) -> Evaluated:
    """The answers in a file of {id, text} rows, scored against the references."""
    predictions = tuple(Prediction(row["id"], row["text"]) for row in read_jsonl(file))
    scores = tuple(
        score_task(task, prediction.text, instance) for prediction, instance in zip(predictions, instances, strict=True)
    )
    interval = bootstrap_mean(
        scores, resamples=config.bootstrap, confidence=config.confidence, seed=STATISTICS_SEED
    )
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

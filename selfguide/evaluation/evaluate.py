"""Scores with intervals: the only stage that is handed gold.

The references stay in this module; what goes to an engine is inputs, what goes to the store is
answers, and scores are computed anew each time (they cost nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.config.schema import EvaluationConfig
from selfguide.core.console import Bar
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_random
from selfguide.core.types import Instance, TaskSpec
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.contender import Contender
from selfguide.evaluation.predict import Prediction, predict
from selfguide.evaluation.statistics import Gain, Interval, bootstrap_mean, paired_gain
from selfguide.models.session import Session
from selfguide.store import Journal, fingerprint, journal_tokens
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
    places = sorted(child_random(seed, "evaluation", "limit").sample(range(len(instances)), limit))
    return tuple(instances[place] for place in places)


def evaluate(
    session: Session, name: str, instances: Sequence[Instance], variants: Mapping[str, Contender]
) -> dict[str, Evaluated]:
    """Answers and scores of each variant; all that are prompted go through the engine as one stream of requests."""
    config = session.config.evaluation
    # A name for an epoch and one for the chosen epoch may be the same weights: asked once.
    key_of = {name: identity(contender) for name, contender in variants.items()}
    unique = {key_of[name]: contender for name, contender in variants.items()}
    spec = {
        **session.base_spec(version=1),
        "instances": fingerprint([(i.id, i.input) for i in instances]),
        "variants": list(unique),
        "evaluation": knobs_of(config, "predictions"),
    }
    # Greedy answers do not depend on the seed of the run.
    del spec["seed"]

    def build(work: Path) -> dict[str, Any]:
        total = len(instances) * len(unique)
        with (
            Journal(work / "journal.jsonl") as journal,
            session.terminal.bar(f"evaluation ({', '.join(variants)})", total, "answers") as bar,
        ):
            answers, tokens = _answers(session, instances, list(unique.values()), work, journal, bar)
            for place, rows in enumerate(answers):
                write_jsonl(work / f"predictions-{place}.jsonl", ({"id": p.id, "text": p.text} for p in rows))
            return {
                "tokens": tokens,
                "too_long": sum(prediction.too_long for rows in answers for prediction in rows),
            }

    canary = {key: trusted(session, one.weights) for key, one in unique.items() if one.weights is not None}
    stage = session.stage(name, "predictions", spec, build)
    if stage.info["too_long"]:
        session.terminal.warn(
            f"{stage.info['too_long']} evaluation prompts exceed the model's context and count as wrong"
        )
    results = {
        key: replace(
            scored(session.task, instances, stage.path / f"predictions-{place}.jsonl", config),
            canary=canary.get(key),
        )
        for place, key in enumerate(unique)
    }
    return {name: results[key] for name, key in key_of.items()}


def _answers(
    session: Session,
    instances: Sequence[Instance],
    variants: Sequence[Contender],
    work: Path,
    journal: Journal,
    bar: Bar,
) -> tuple[list[list[Prediction]], dict[str, int]]:
    """Predictions [variant][instance], and the tokens that they took."""
    prompted = [variant for variant in variants if variant.answerer is None]
    bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
    stream = iter(
        predict(
            session.engine,
            session.tokenizer,
            session.task,
            instances,
            prompted,
            session.config.evaluation,
            journal,
            bar.advance,
        )
        if prompted
        else []
    )
    answers, spent = [], [journal_tokens(journal)]
    for place, variant in enumerate(variants):
        if variant.answerer is None:
            answers.append(next(stream))
            continue
        with Journal(work / f"journal-{place}.jsonl") as own:
            texts = variant.answerer.answer([i.input for i in instances], own, bar.advance)
            spent.append(journal_tokens(own))
        answers.append([Prediction(i.id, text) for i, text in zip(instances, texts, strict=True)])
    known = [kind for kind in spent[0] if all(kind in tokens for tokens in spent)]
    return answers, {kind: sum(tokens[kind] for tokens in spent) for kind in known}


def identity(contender: Contender) -> str:
    """What a contender's answers depend on beside model, task and inputs, for a stage spec."""
    if contender.answerer is not None:
        return contender.answerer.identity
    name = "base" if contender.weights is None else contender.weights.name
    if contender.demonstrations is None:
        return name
    return f"{name}+{fingerprint([(d.input, d.output) for d in contender.demonstrations])}"


def scored(task: TaskSpec, instances: Sequence[Instance], file: Path, config: EvaluationConfig) -> Evaluated:
    """The answers in a file of {id, text} rows, scored against the references."""
    return _evaluated(task, instances, tuple(Prediction(row["id"], row["text"]) for row in read_jsonl(file)), config)


def rescored(task: TaskSpec, instances: Sequence[Instance], given: Evaluated, config: EvaluationConfig) -> Evaluated:
    """The same answers by the metric of `task`."""
    return _evaluated(task, instances, given.predictions, config)


def _evaluated(
    task: TaskSpec, instances: Sequence[Instance], predictions: tuple[Prediction, ...], config: EvaluationConfig
) -> Evaluated:
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

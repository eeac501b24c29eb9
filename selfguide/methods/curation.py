"""Curation of a finished synthetic set (`curation=`): what the model doubts is dropped or corrected.

As CLEAR (arXiv 2403.12776), Curated LLM (arXiv 2312.12112) and dataset cartography (arXiv 2009.10795) do; a judge's
ratings (`selfguide.methods.judging`) stand in for the model's confidence. What differs stands in `conf/curation/`.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, NamedTuple

from selfguide.config.builtin import CURATION
from selfguide.config.curation import CurationConfig
from selfguide.core.errors import ConfigError
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example, Instance
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import Predict, Query, System
from selfguide.methods.judging import rate
from selfguide.methods.scoring import Losses, ScorePairs
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import Finished, Stage, StoredStage, Workspace
from selfguide.synthesis.curation import Quality
from selfguide.synthesis.dataset import still_in
from selfguide.synthesis.verdicts import Verdicts
from selfguide.tasks.metrics import answer_in
from selfguide.training.stages import train

LEAST = 1e-300  # a rating of 0, as a loss


@dataclass(frozen=True)
class CuratePairs(Stage[list[dict[str, Any]]]):
    """Every pair with its figures and `dropped`: why it is left out, or None. Costs no model call."""

    kind: ClassVar[str] = "curation"
    version: ClassVar[int] = 1

    pairs: tuple[Example, ...]
    losses: Losses
    labels: tuple[str, ...]
    curation: CurationConfig

    def build(self, work: Workspace) -> None:
        qualities = [Quality.of_losses(row) for row in self.losses]
        reasons = CURATION.load(self.curation.kind)(self.pairs, qualities, self.labels, self.curation)
        rows = (
            {**asdict(pair), **(asdict(quality) if quality else {}), "dropped": reason}
            for pair, quality, reason in zip(self.pairs, qualities, reasons, strict=True)
        )
        write_jsonl(work.path / "curation.jsonl", rows)

    def load(self, stored: StoredStage) -> list[dict[str, Any]]:
        return list(read_jsonl(stored.path / "curation.jsonl"))


class Curated(NamedTuple):
    """The pairs that are left, in their order; of those that got another output the new one; a judge's verdicts."""

    pairs: tuple[Example, ...]
    corrected: Mapping[Example, Example]
    verdicts: Verdicts | None = None


def curated(session: Session, pairs: Sequence[Example], given: Collection[Example], name: str) -> Curated:
    """The pairs that are left; those `given` (gold, demonstrations) always are, as they are."""
    fixed = set(given)
    made = curate(session, [pair for pair in pairs if pair not in fixed], name)
    now = [pair if pair in fixed else made.corrected.get(pair, pair) for pair in pairs]
    return made._replace(pairs=still_in(now, [*made.pairs, *(pair for pair in pairs if pair in fixed)]))


def curate(session: Session, pairs: Sequence[Example], name: str = "curation") -> Curated:
    """The pairs that are left, doubtful ones with a better output among them (`curation.correct`)."""
    curation = session.config.curation
    if curation.kind == "none" or not pairs:
        return Curated(tuple(pairs), {})
    verdicts = rate(session, pairs, f"{name}_ratings") if curation.kind == "judge" else None
    rows = judge(session, pairs, name, verdicts).value
    kept = [Example(row["input"], row["output"]) for row in rows if row["dropped"] is None]
    corrected = _corrected(session, rows, kept, name) if curation.correct else {}
    left = [corrected.get(pair, pair) for pair in pairs]
    pairs = still_in(left, [*kept, *(corrected[pair] for pair in pairs if pair in corrected)])
    drops = Counter(row["dropped"] for row in rows if row["dropped"])
    session.terminal.drops("curation", drops, len(kept))
    if corrected:
        session.terminal.say(f"curation: {len(pairs) - len(kept)} of {drops.total()} got another output")
    return Curated(pairs, corrected, verdicts)


def _corrected(
    session: Session, rows: Sequence[dict[str, Any]], kept: Sequence[Example], name: str
) -> dict[Example, Example]:
    """For doubtful pairs the same input with the answer of a model finetuned on the others (CLEAR's second half).

    It has to be another one, more likely than the old, and no less than the least likely output that was kept.
    """
    config, task = session.config, session.task
    doubtful = {Example(row["input"], row["output"]): row["confidence"] for row in rows if "confidence" in row}
    least = min((doubtful[pair] for pair in kept), default=1.0)
    doubtful = {pair: doubtful[pair] for pair in doubtful.keys() - set(kept)}
    if config.finetuning.kind == "none":
        raise ConfigError("curation.correct: true is not allowed with finetuning=none: a finetuned model corrects")
    if not doubtful or not kept:
        return {}
    pairs = sorted(doubtful, key=lambda pair: (pair.input, pair.output))
    system = System(_epochs(session, kept, f"{name}_correcting")[config.finetuning.epochs - 1])
    queries = tuple(Query(Instance(str(index), pair.input, ()), system) for index, pair in enumerate(pairs))
    answers = session.run(f"{name}_answers", Predict(session.student, task, config.evaluation, queries)).value
    outputs = [answer_in(task, answer.text) if task.is_classification else answer.text for answer in answers]
    new = [Example(pair.input, output or "") for pair, output in zip(pairs, outputs, strict=True)]
    if config.curation.kind == "judge":
        losses = _as_losses(rate(session, new, f"{name}_corrected_ratings"), new)
    else:
        losses = _losses(session, new, (None,), f"{name}_corrected_scores")
    found = {}
    for old, other, [loss] in zip(pairs, new, losses, strict=True):
        likely = 0.0 if loss is None or not other.output else math.exp(-loss)
        if other.output != old.output and likely > doubtful[old] and likely >= least:
            found[old] = other
    return found


def judge(
    session: Session, pairs: Sequence[Example], name: str, verdicts: Verdicts | None = None
) -> Finished[list[dict[str, Any]]]:
    """Every pair with the model's confidence in it; for `dynamics` over the epochs of a training without it.

    A judge's `verdicts` are its ratings, and the threshold that they have to reach.
    """
    curation, pairs = session.config.curation, tuple(pairs)
    if verdicts is not None:
        losses = _as_losses(verdicts, pairs)
        curation = replace(curation, min_confidence=verdicts.threshold)
    elif curation.kind != "dynamics":
        losses = _losses(session, pairs, (None,), f"{name}_scores")
    elif session.config.finetuning.kind == "none":
        raise ConfigError("curation.kind: dynamics is not allowed with finetuning=none: there are no epochs")
    elif curation.judged_by == "real":
        # The gold pool is there for a method that claims it alone.
        real = session.gold_pool or session.task.demonstrations * session.config.finetuning.demonstration_copies
        losses = _losses(session, pairs, _epochs(session, real, f"{name}_training"), f"{name}_scores")
    else:
        losses = _crossed(session, pairs, name)
    return session.run(name, CuratePairs(pairs, losses, session.task.labels, curation))


def _as_losses(verdicts: Verdicts, pairs: Sequence[Example]) -> Losses:
    rated = (verdicts.ratings.get(pair) for pair in pairs)
    return [[None if value is None else -math.log(max(value, LEAST))] for value in rated]


def _crossed(session: Session, pairs: Sequence[Example], name: str) -> Losses:
    """Each half of the rows judged by a training on the other; the same input is in one half alone."""
    ranked = sorted({pair.input for pair in pairs}, key=lambda text: child_seed(session.config.seed, "halves", text))
    first = set(ranked[::2])
    halves = [[pair for pair in pairs if (pair.input in first) is here] for here in (True, False)]
    if not all(halves):
        return _losses(session, pairs, (None,), f"{name}_scores")
    found: dict[Example, list[float | None]] = {}
    for number, (mine, others) in enumerate((halves, halves[::-1]), start=1):
        epochs = _epochs(session, others, f"{name}_training_{number}")
        found |= zip(mine, _losses(session, mine, epochs, f"{name}_scores_{number}"), strict=True)
    return [found[pair] for pair in pairs]


def _epochs(session: Session, rows: Sequence[Example], name: str) -> tuple[Weights, ...]:
    """The weights after each epoch of a training; demonstrations among the rows are not in their own prompts."""
    alone = not {*session.task.demonstrations}.isdisjoint(rows)
    epochs = train(session, name, rows, leave_one_out=alone).value.epochs
    for weights in epochs:
        trusted(session, weights)
    return epochs


def _losses(session: Session, pairs: Sequence[Example], by: tuple[Weights | None, ...], name: str) -> Losses:
    return session.run(name, ScorePairs(session.student, session.task, tuple(pairs), by)).value

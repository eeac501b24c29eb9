"""Curation of a finished synthetic set, for every method: what the model doubts is not trained on (`curation=`)."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.core.errors import ConfigError
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example
from selfguide.evaluation.canary import trusted
from selfguide.methods.scoring import losses_of
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import fingerprint
from selfguide.synthesis.curation import Quality, reasons_to_drop
from selfguide.synthesis.dataset import still_in
from selfguide.training.stages import training_stage


def curated(session: Session, pairs: Sequence[Example], given: Collection[Example], name: str) -> tuple[Example, ...]:
    """The pairs that are left, in their order; those `given` (gold, demonstrations) always are."""
    fixed = set(given)
    kept = curate_stage(session, [pair for pair in pairs if pair not in fixed], name)
    return still_in(pairs, [*kept, *(pair for pair in pairs if pair in fixed)])


def curate_stage(session: Session, pairs: Sequence[Example], name: str = "curation") -> tuple[Example, ...]:
    """The pairs that are left, in their order. `curation.jsonl` of the stage has every pair with its figures."""
    config = session.config.curation
    if config.kind == "none" or not pairs:
        return tuple(pairs)
    variants: tuple[Weights | None, ...] = (None,)
    if config.kind == "dynamics":
        if session.config.finetuning.kind == "none":
            raise ConfigError("curation.kind: dynamics is not allowed with finetuning=none: there are no epochs")
        variants = training_stage(session, f"{name}_training", pairs).epochs
    losses = _losses_stage(session, name, pairs, variants)
    spec = {
        "version": 1,
        "losses": fingerprint(losses),
        "pairs": fingerprint([(pair.input, pair.output) for pair in pairs]),
        "labels": list(session.task.labels),
        "curation": knobs_of(config, "curation"),
    }

    def build(work: Path) -> None:
        qualities = [Quality.of_losses(row) for row in losses]
        reasons = reasons_to_drop(pairs, qualities, session.task.labels, config)
        write_jsonl(
            work / "curation.jsonl",
            (
                {**asdict(pair), **(asdict(quality) if quality else {}), "dropped": reason}
                for pair, quality, reason in zip(pairs, qualities, reasons, strict=True)
            ),
        )

    stage = session.stage(name, "curation", spec, build)
    rows = list(read_jsonl(stage.path / "curation.jsonl"))
    kept = tuple(Example(row["input"], row["output"]) for row in rows if row["dropped"] is None)
    session.terminal.drops("curation", Counter(row["dropped"] for row in rows if row["dropped"]), len(kept))
    return kept


def _losses_stage(
    session: Session, name: str, pairs: Sequence[Example], variants: Sequence[Weights | None]
) -> list[list[float | None]]:
    spec = {
        **session.base_spec(1),
        "pairs": fingerprint([(pair.input, pair.output) for pair in pairs]),
        "variants": [None if weights is None else weights.name for weights in variants],
    }
    del spec["seed"]

    for weights in variants:
        if weights is not None:
            trusted(session, weights)

    def build(work: Path) -> dict[str, Any]:
        losses, tokens = losses_of(session, pairs, variants, work)
        write_jsonl(work / "rows.jsonl", losses)
        return {"tokens": tokens}

    stage = session.stage(f"{name}_scores", "scores", spec, build)
    return list(read_jsonl(stage.path / "rows.jsonl"))

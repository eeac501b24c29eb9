"""How much each synthetic row helps: the encoder's influence, or the loss of a causal student (ProGen's scorer)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example
from selfguide.methods.scoring import losses_of
from selfguide.methods.student import EncoderAnswerer, Student
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import fingerprint


def influence_stage(
    session: Session, student: Student, train: Sequence[Example], validation: Sequence[Example], round_number: int
) -> list[float]:
    """A score for each training row, negative: helpful."""
    encoder = student.encoder
    config = session.config
    epoch = min(config.finetuning.epochs, len(student.epochs))
    weights = student.epochs[epoch - 1] if student.epochs else None
    spec: dict[str, Any] = {
        "version": 1,
        "train": fingerprint([(p.input, p.output) for p in train]),
        "seed": config.seed,
    }
    if encoder is not None:
        spec["student"] = encoder.identity
        spec["validation"] = fingerprint([(p.input, p.output) for p in validation])
        spec["influence"] = knobs_of(config.student.influence, "influence")
    else:
        # The loss asks for no validation rows: they are no part of it.
        spec |= {**session.base_spec(1), "student": None if weights is None else weights.name}

    def build(work: Path) -> dict[str, Any]:
        info: dict[str, Any] = {}
        if encoder is not None:
            scores = _of_encoder(session, encoder, train, validation)
        else:
            scores, info = _of_losses(session, weights, train, work)
        write_jsonl(work / "scores.jsonl", ({"score": score} for score in scores))
        return info

    stage = session.stage(f"influence_{round_number}", "influence", spec, build)
    return [row["score"] for row in read_jsonl(stage.path / "scores.jsonl")]


def _of_encoder(
    session: Session, encoder: EncoderAnswerer, train: Sequence[Example], validation: Sequence[Example]
) -> list[float]:
    from selfguide.training.encoder.influence import influence
    from selfguide.training.encoder.predict import EncoderClassifier

    classifier = EncoderClassifier.load(encoder.folder, encoder.labels, encoder.device)
    return influence(classifier, train, validation, session.config.student.influence, session.config.seed)


def _of_losses(
    session: Session, weights: Weights | None, train: Sequence[Example], work: Path
) -> tuple[list[float], dict[str, Any]]:
    """Mean negative log-probability of each output's tokens less the mean over rows: doubtful rows are above 0."""
    losses, tokens = losses_of(session, train, [weights], work)
    known = [row[0] for row in losses if row[0] is not None]
    mean = sum(known) / len(known) if known else 0.0
    # A row that does not fit the context is neither helpful nor harmful.
    return [0.0 if row[0] is None else row[0] - mean for row in losses], {"tokens": tokens}

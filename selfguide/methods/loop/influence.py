"""How much each synthetic row helps: the encoder's influence, or the loss of a causal student (ProGen's scorer)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from selfguide.config.loop import DiagnoseConfig, held_out_rows
from selfguide.config.students import InfluenceConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example
from selfguide.methods.scoring import ScorePairs
from selfguide.methods.student import Student
from selfguide.models.session import Session
from selfguide.store import Stage, StoredStage, Workspace
from selfguide.training.encoder.stage import EncoderPredictor


@dataclass(frozen=True)
class EncoderInfluence(Stage[list[float]]):
    """The influence of each training row on the encoder's loss on `validation`."""

    kind: ClassVar[str] = "influence"
    version: ClassVar[int] = 1

    student: EncoderPredictor
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    influence: InfluenceConfig
    seed: int

    def build(self, work: Workspace) -> None:
        from selfguide.training.encoder.influence import influence
        from selfguide.training.encoder.predict import EncoderClassifier

        student = self.student
        classifier = EncoderClassifier.load(student.folder, student.labels, student.device)
        scores = influence(classifier, self.train, self.validation, self.influence, self.seed)
        write_jsonl(work.path / "scores.jsonl", ({"score": score} for score in scores))

    def reads(self) -> Iterable[Path]:
        return (self.student.folder,)

    def load(self, stored: StoredStage) -> list[float]:
        return [row["score"] for row in read_jsonl(stored.path / "scores.jsonl")]


def influence_of_rows(
    session: Session, student: Student, train: Sequence[Example], validation: Sequence[Example], round_number: int
) -> list[float]:
    """A score for each training row, negative: helpful."""
    config, name = session.config, f"influence_{round_number}"
    if student.encoder is not None:
        settings = config.student.influence
        stage = EncoderInfluence(student.encoder, tuple(train), tuple(validation), settings, config.seed)
        return session.run(name, stage).value
    # The loss asks for no validation rows. Doubtful rows are above 0: a loss above the mean.
    epoch = min(config.finetuning.epochs, len(student.epochs))
    weights = student.epochs[epoch - 1] if student.epochs else None
    losses = session.run(name, ScorePairs(session.student, session.task, tuple(train), (weights,))).value
    known = [loss for [loss] in losses if loss is not None]
    mean = sum(known) / len(known) if known else 0.0
    # A row that does not fit the context is neither helpful nor harmful.
    return [0.0 if loss is None else loss - mean for [loss] in losses]


def held_out(pairs: Sequence[Example], config: DiagnoseConfig, seed: int) -> tuple[list[Example], list[Example]]:
    """Rows to train on and synthetic rows to judge them by (ProGen).

    Of many rows a fixed number, chosen among the first ones and so the same in every later round;
    before there are that many, a share.
    """
    candidates = range(min(config.held_out_from, len(pairs)))
    ranked = sorted(candidates, key=lambda index: child_seed(seed, "held out", pairs[index].input, index))
    chosen = set(ranked[: held_out_rows(config, len(pairs))])
    train = [pair for index, pair in enumerate(pairs) if index not in chosen]
    return train, [pairs[index] for index in sorted(chosen)]


def helpful(
    train: Sequence[Example], scores: Sequence[float] | None, labels: Sequence[str], per_label: int
) -> dict[str, tuple[Example, ...]]:
    """For each label the `per_label` rows of lowest (negative) score; without scores, all rows."""
    pool: dict[str, tuple[Example, ...]] = {}
    for label in labels or ("",):
        indices = [index for index, pair in enumerate(train) if not labels or pair.output == label]
        if scores is not None:
            ranked = sorted((scores[index], index) for index in indices if scores[index] < 0)
            indices = [index for _, index in ranked[:per_label]]
        pool[label] = tuple(train[index] for index in indices)
    return pool

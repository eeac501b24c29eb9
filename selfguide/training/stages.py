"""The training stage: weights that are in the store are not trained again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from selfguide.config.schema import FinetuningConfig
from selfguide.core.files import write_examples
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Weights
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Finished, Stage, StoredStage, Workspace, keyed

log = logging.getLogger(__name__)
PAIRS = "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class Trained:
    """Finetuned weights after each epoch, and what the training saw."""

    epochs: tuple[Weights, ...]
    rows: int
    over_length: int
    steps: int


@dataclass(frozen=True)
class Finetune(Stage[Trained]):
    """Step 5: the model, finetuned on `pairs` with the demonstrations in context (paper section 3.4).

    `leave_one_out` is for pairs that are the demonstrations themselves: none stands in its own context.
    """

    kind: ClassVar[str] = "training"
    version: ClassVar[int] = 4

    model: LanguageModel = field(metadata=keyed(lambda model: model.weights_identity))
    task: TaskSpec
    pairs: tuple[Example, ...]
    finetuning: FinetuningConfig
    seed: int
    leave_one_out: bool = False

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.training.job import steps_per_epoch
        from selfguide.training.rows import build_rows, show_row
        from selfguide.training.trainer import finetune

        write_examples(work.path / PAIRS, self.pairs)
        settings, tokenizer = self.finetuning, self.model.tokenizer
        built = build_rows(self.task, self.pairs, tokenizer, settings, self.seed, self.leave_one_out)
        # hydra.verbose=selfguide shows it.
        row = show_row(built.rows[0], tokenizer)
        log.debug("first training row (%s); the loss is on what is between « and »:\n%s", work.name, row)
        work.free_device()
        total = steps_per_epoch(settings, len(built.rows)) * settings.max_epochs
        config = replace(self.model.config, finetuning=settings)
        with work.bar(f"finetuning ({work.name})", total, "steps") as bar:
            result = finetune(config, tokenizer, built.rows, work.path, self.seed, bar)
        return {
            "rows": len(built.rows),
            "over_length": built.over_length,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
            "packed": result.packed,
        }

    def load(self, stored: StoredStage) -> Trained:
        return trained(stored, self.finetuning, self.finetuning.max_epochs)


def trained(stored: StoredStage, finetuning: FinetuningConfig, epochs: int) -> Trained:
    """What a finished training has in the store."""
    from selfguide.training.weights import weights_of

    folders = [stored.path / f"epoch-{epoch}" for epoch in range(1, epochs + 1)]
    weights = tuple(weights_of(folder, finetuning, stored.released) for folder in folders)
    return Trained(weights, stored.info["rows"], stored.info["over_length"], stored.info["steps"])


def train(
    session: Session,
    name: str,
    pairs: Sequence[Example],
    *,
    leave_one_out: bool = False,
    finetuning: FinetuningConfig | None = None,
) -> Finished[Trained]:
    """The student finetuned on `pairs`; `finetuning` stands in for the run's settings."""
    config = session.config
    settings = finetuning or config.finetuning
    stage = Finetune(session.student, session.task, tuple(pairs), settings, config.seed, leave_one_out)
    return session.run(name, stage)

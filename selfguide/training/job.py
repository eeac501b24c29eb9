"""What one finetuning is made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.rows import TrainingRow


class TrainingProgress(Protocol):
    """Who is told about steps: a progress bar of `selfguide.core`, for one."""

    def resume(self, done: int) -> None:
        """Steps that an earlier, killed run made."""

    def advance(self, count: int, **fields: object) -> None:
        """Steps made since the last call, with the loss."""


@dataclass(frozen=True)
class TrainingJob:
    """A training of `config.finetuning` on `rows`; its files are in the folder `work`."""

    config: RunConfig
    tokenizer: PromptTokenizer
    rows: Sequence[TrainingRow]
    work: Path
    seed: int
    start: Path | None = None  # an adapter that the training goes on from

    @property
    def settings(self) -> FinetuningConfig:
        """The section of the configuration that training is about."""
        return self.config.finetuning

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return steps_per_epoch(self.settings, len(self.rows))

    @property
    def steps(self) -> int:
        """Optimizer steps of the training."""
        return self.steps_per_epoch * self.settings.max_epochs

    @property
    def losses(self) -> Path:
        """The file with a line for every step."""
        return self.work / "losses.jsonl"


def steps_per_epoch(config: FinetuningConfig, rows: int) -> int:
    """Optimizer steps in one epoch over `rows` rows; the last one may hold fewer than `batch_size`."""
    return math.ceil(rows / config.batch_size)

"""What one finetuning is made of, and the same as files for processes that take part in it."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.files import read_jsonl, write_json, write_jsonl
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.rows import TrainingRow

FILES = ("job.json", "rows.jsonl")
SECTIONS = ("model", "engine", "finetuning")


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

    @property
    def packing(self) -> Path:
        """The file in which the training says whether it packed its rows, while it runs."""
        return self.work / "packing.json"

    def write(self) -> None:
        """Leave in `work` all that `read` needs: `job.json` (seed and sections) and `rows.jsonl` (token ids)."""
        self.work.mkdir(parents=True, exist_ok=True)
        write_jsonl(self.work / "rows.jsonl", (dataclasses.asdict(row) for row in self.rows))
        sections = {name: _plain(getattr(self.config, name)) for name in SECTIONS}
        write_json(self.work / "job.json", {"seed": self.seed, **sections})

    @classmethod
    def read(cls, work: Path) -> "TrainingJob":
        """The job that was written to `work`."""
        from selfguide.models.loading import load_prompt_tokenizer

        saved = json.loads((work / "job.json").read_text(encoding="utf-8"))
        config = cast(RunConfig, SimpleNamespace(**{name: SimpleNamespace(**saved[name]) for name in SECTIONS}))
        rows = [
            TrainingRow(tuple(r["prompt_ids"]), tuple(r["answer_ids"]), r["group"])
            for r in read_jsonl(work / "rows.jsonl")
        ]
        return cls(config, load_prompt_tokenizer(config.model), rows, work, saved["seed"])

    def remove_files(self) -> None:
        """Delete what `write` left."""
        for name in FILES:
            (self.work / name).unlink(missing_ok=True)


def steps_per_epoch(config: FinetuningConfig, rows: int) -> int:
    """Optimizer steps in one epoch over `rows` rows; the last one may hold fewer than `batch_size`."""
    return math.ceil(rows / config.batch_size)


def _plain(node: Any) -> dict[str, Any]:
    is_instance = dataclasses.is_dataclass(node) and not isinstance(node, type)
    return dataclasses.asdict(node) if is_instance else dict(vars(node))

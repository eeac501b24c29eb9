"""The stage that trains on preferences, after supervised training or instead of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from selfguide.config.schema import FinetuningConfig
from selfguide.core.files import write_examples, write_jsonl
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Weights
from selfguide.models.session import LanguageModel
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Stage, StoredStage, Workspace, keyed
from selfguide.training.stages import PAIRS, Trained, trained

if TYPE_CHECKING:
    from selfguide.training.preference import PreferenceRow


class Preference(NamedTuple):
    """An input with the output that is preferred and one that is not."""

    input: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Prefer(Stage[Trained]):
    """The model trained by `finetuning.objective`, from the adapter `start` (None: fresh weights).

    A rejected answer is cut where it would make a row longer than `finetuning.max_length`.
    """

    kind: ClassVar[str] = "preference"
    version: ClassVar[int] = 1

    model: LanguageModel = field(metadata=keyed(lambda model: model.weights_identity))
    task: TaskSpec
    preferences: tuple[Preference, ...]
    finetuning: FinetuningConfig
    seed: int
    start: Weights | None
    leave_one_out: bool = False

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.training.job import TrainingJob, steps_per_epoch
        from selfguide.training.trainer import carry_out

        pairs = [Example(row.input, row.chosen) for row in self.preferences]
        write_examples(work.path / PAIRS, pairs)
        write_jsonl(work.path / "preferences.jsonl", (row._asdict() for row in self.preferences))
        tokenizer, settings = self.model.tokenizer, self.finetuning
        rows, over_length = preference_rows(
            self.task, self.preferences, tokenizer, settings, self.seed, self.leave_one_out
        )
        work.free_device()
        training = settings_of(settings)
        total = steps_per_epoch(training, len(rows)) * training.max_epochs
        config = replace(self.model.config, finetuning=training)
        with work.bar(f"{settings.objective} ({work.name})", total, "steps") as bar:
            start = None if self.start is None else self.start.path
            result = carry_out(TrainingJob(config, tokenizer, rows, work.path, self.seed, start), bar)
        return {
            "rows": len(rows),
            "over_length": over_length,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
            "packed": False,
        }

    def reads(self) -> Iterable[Path]:
        return () if self.start is None else (self.start.path,)

    def load(self, stored: StoredStage) -> Trained:
        return trained(stored, self.finetuning, settings_of(self.finetuning).max_epochs)


def preference_rows(
    task: TaskSpec,
    preferences: Sequence[Preference],
    tokenizer: PromptTokenizer,
    settings: FinetuningConfig,
    seed: int,
    leave_one_out: bool,
) -> tuple[list["PreferenceRow"], int]:
    """The rows that are short enough, a rejected answer cut where it would make its row too long; how many are not."""
    from selfguide.training.preference import PreferenceRow
    from selfguide.training.rows import build_rows

    pairs = [Example(row.input, row.chosen) for row in preferences]
    built = build_rows(task, pairs, tokenizer, settings, seed, leave_one_out)
    rows = []
    for index, row in zip(built.indices, built.rows, strict=True):
        rejected = tokenizer.encode_answer(preferences[index].rejected)[: settings.max_length - len(row.prompt_ids)]
        rows.append(PreferenceRow(row.prompt_ids, row.answer_ids, row.group, rejected))
    return rows, built.over_length


def settings_of(finetuning: FinetuningConfig) -> FinetuningConfig:
    """What of supervised training's settings the preferences have of their own."""
    own = finetuning.preference
    return replace(
        finetuning, learning_rate=own.learning_rate, max_epochs=own.epochs, epochs=own.epochs, packing="none"
    )

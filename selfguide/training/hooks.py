"""What we add to transformers.Trainer: our order of rows, our checkpoints, a check of every loss."""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback

from selfguide.core.errors import TrainingError
from selfguide.core.seeding import child_random
from selfguide.training.checkpoints import mark_whole, publish
from selfguide.training.distributed import barrier, broadcast
from selfguide.training.job import TrainingJob, TrainingProgress
from selfguide.training.rows import TrainingRow

IGNORED = -100
FILLER = TrainingRow((0,), ())
"""A row without anything to learn: makes the last batch of an epoch the same size for every process."""


def collate(batch: Sequence[TrainingRow], pad: int) -> dict[str, torch.Tensor]:
    """Rows padded on the right: `input_ids`, `attention_mask`, `labels`, each (rows, longest row)."""
    width = max(len(row) for row in batch)
    ids = torch.full((len(batch), width), pad)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED)
    for i, row in enumerate(batch):
        ids[i, : len(row)] = torch.tensor([*row.prompt_ids, *row.answer_ids])
        mask[i, : len(row)] = 1
        labels[i, len(row.prompt_ids) : len(row)] = torch.tensor(row.answer_ids)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class EpochOrder(Sampler[int]):
    """A new order of rows in each epoch, known from the epoch's number alone: resuming keeps it."""

    def __init__(self, size: int, seed: int, epoch: Callable[[], int], filled: int = 0) -> None:
        self._size, self._seed, self._epoch, self._filled = size, seed, epoch, max(filled, size)

    def __len__(self) -> int:
        return self._filled

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._size))
        child_random(self._seed, "epoch", self._epoch()).shuffle(order)
        return iter([*order, *range(self._size, self._filled)])


class RowTrainer(Trainer):  # type: ignore[misc]
    """`Trainer` over `TrainingRow`s, silent, in `EpochOrder`."""

    order_seed = 0
    per_epoch = 1
    rows = 0  # without fillers; 0: all of them

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.train_dataset if train_dataset is None else train_dataset
        epoch = lambda: int(self.state.global_step) // self.per_epoch  # noqa: E731
        return EpochOrder(self.rows or len(rows), self.order_seed, epoch, len(rows))


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Writes each step's loss, each epoch's weights, and a checkpoint every `save_every_s` seconds."""

    def __init__(self, job: TrainingJob, save: Callable[[Path], None], progress: TrainingProgress | None) -> None:
        self._job, self._save, self._progress = job, save, progress
        self._saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Weights come before the checkpoint: a checkpoint at step s implies all epochs up to s on disk."""
        step = int(state.global_step)
        if step % self._job.steps_per_epoch == 0:
            self._keep(step // self._job.steps_per_epoch, state.is_world_process_zero)
        due = time.monotonic() - self._saved >= self._job.settings.save_every_s
        if step < state.max_steps and broadcast(due):
            control.should_save = True
        return control

    def _keep(self, epoch: int, first: bool) -> None:
        final = self._job.work / f"epoch-{epoch}"
        temporary = final.with_name(f".{final.name}.tmp")
        if first:
            shutil.rmtree(temporary, ignore_errors=True)
        self._save(temporary)
        if first:
            publish(temporary, final)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The Trainer has written a checkpoint: make it durable."""
        barrier()
        if state.is_world_process_zero:
            mark_whole(self._job.work, int(state.global_step))
        self._saved = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Every step's loss and gradient must be numbers."""
        if logs is None or "loss" not in logs:
            return
        step, loss, norm = int(state.global_step), float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise TrainingError(
                f"the {what} is not a number at step {step}; try a smaller finetuning.learning_rate or dtype=float32"
            )
        if state.is_world_process_zero:
            line = {"step": step, "loss": loss, "grad_norm": norm, "learning_rate": logs.get("learning_rate")}
            with self._job.losses.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if self._progress is not None:
            self._progress.advance(1, loss=f"{loss:.3f}")

"""What we add to transformers.Trainer: our order of rows, our checkpoints, a check of every loss."""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from selfguide.core.errors import TrainingError
from selfguide.core.files import json_text
from selfguide.core.seeding import child_random
from selfguide.training.batches import Batches
from selfguide.training.checkpoints import mark_whole, publish
from selfguide.training.distributed import barrier, broadcast
from selfguide.training.job import TrainingJob, TrainingProgress
from selfguide.training.rows import TrainingRow

Arrange = Callable[[list[int], Random], list[int]]
FILLER = TrainingRow((0,), ())
"""A row without anything to learn: makes the last batch of an epoch the same size for every process."""


class EpochOrder(Sampler[int]):
    """A new order of rows in each epoch, drawn from the epoch's own generator: resuming keeps it.

    `arrange` may change it with the same generator. Indices from `size` to `filled` are fillers, and stand last.
    """

    def __init__(self, size: int, draw: Callable[[], Random], arrange: Arrange | None = None, filled: int = 0) -> None:
        self._size, self._draw, self._arrange, self._filled = size, draw, arrange, max(filled, size)

    def __len__(self) -> int:
        return self._filled

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._size))
        generator = self._draw()
        generator.shuffle(order)
        if self._arrange is not None:
            order = self._arrange(order, generator)
        return iter([*order, *range(self._size, self._filled)])


class QuietTrainer(Trainer):  # type: ignore[misc]
    """`Trainer` that prints nothing."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.remove_callback(PrinterCallback)


class RowTrainer(QuietTrainer):
    """`Trainer` over `TrainingRow`s in `EpochOrder`."""

    order_seed = 0
    per_epoch = 1
    rows = 0  # without fillers; 0: all of them
    batches: Batches | None = None
    arrange: Arrange | None = None

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        inputs = super()._prepare_inputs(inputs)
        return inputs if self.batches is None else self.batches.masked(inputs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.train_dataset if train_dataset is None else train_dataset

        def draw() -> Random:
            return child_random(self.order_seed, "epoch", int(self.state.global_step) // self.per_epoch)

        return EpochOrder(self.rows or len(rows), draw, self.arrange, len(rows))


def trainer_arguments(
    output: Path, device: str, seed: int, kind: type[TrainingArguments] = TrainingArguments, **settings: Any
) -> TrainingArguments:
    """`settings`, and what all our trainings have: one device, a log line for each step, nothing sent or shown."""
    if ":" in device and "RANK" not in os.environ:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    arguments = kind(
        **{
            "output_dir": str(output),
            "seed": seed % 2**32,
            "use_cpu": device == "cpu",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "report_to": "none",
            "disable_tqdm": True,
            "remove_unused_columns": False,
            "dataloader_pin_memory": device.startswith("cuda"),
            **settings,
        }
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several visible GPUs would otherwise be used by threads of this process
    return arguments


def check_finite(logs: dict[str, float], step: int, what: str, advice: str) -> None:
    """Raises `TrainingError` unless loss and gradient of a step are numbers."""
    if not math.isfinite(logs["loss"]):
        raise TrainingError(f"{what} is not a number at step {step}; {advice}")
    if not math.isfinite(logs.get("grad_norm", 0.0)):
        raise TrainingError(f"the gradient of {what} is not a number at step {step}; {advice}")


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
        step, loss = int(state.global_step), float(logs["loss"])
        check_finite(logs, step, "the loss", "try a smaller finetuning.learning_rate or dtype=float32")
        if state.is_world_process_zero:
            norm = float(logs.get("grad_norm", 0.0))
            line = {"step": step, "loss": loss, "grad_norm": norm, "learning_rate": logs.get("learning_rate")}
            with self._job.losses.open("a", encoding="utf-8") as file:
                file.write(json_text(line) + "\n")
        if self._progress is not None:
            self._progress.advance(1, loss=f"{loss:.3f}")

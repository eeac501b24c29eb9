"""The encoder's training as a transformers.Trainer: our order of rows and rates, epochs judged on held-out rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, TrainerCallback

from selfguide.config.students import EncoderConfig
from selfguide.core.seeding import child_random
from selfguide.training.encoder.predict import by_length
from selfguide.training.encoder.text import EncodedText, collate
from selfguide.training.hooks import EpochOrder, QuietTrainer, check_finite, trainer_arguments
from selfguide.training.job import TrainingProgress


class Row(NamedTuple):
    """A text and the number of its label, or the first and the last token of its span."""

    text: EncodedText
    label: int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Setup:
    """A fresh model with its tokenizer, the rows to train on and those to choose the epoch on, and where it runs."""

    model: Any
    tokenizer: Any
    rows: Sequence[Row]
    held_out: Sequence[Row]
    device: str


class EncoderTrainer(QuietTrainer):
    """`train()` leaves the weights of the best epoch in the model: most accurate on the held-out rows, then least loss.

    Without held-out rows it is the last epoch.
    """

    control: Any

    def __init__(self, config: EncoderConfig, setup: Setup, output: Path, seed: int) -> None:
        self.setup, self.order_seed = setup, seed
        self.per_epoch = math.ceil(len(setup.rows) / config.batch_size)
        self.losses: list[float] = []
        self.validation: list[tuple[float, float]] = []
        total = config.epochs * self.per_epoch
        warmup = warmup_steps(config.warmup_fraction, total)
        optimizer = torch.optim.AdamW(_groups(setup.model, config.weight_decay), lr=config.learning_rate)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, total, warmup, config.schedule))
        judged: dict[str, Any] = {
            "eval_strategy": "epoch",
            "save_strategy": "best",
            "save_only_model": True,
            "save_total_limit": 1,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_rank",
            "greater_is_better": True,
        }
        random_state = _random_state(setup.device)  # the Trainer's construction seeds anew
        super().__init__(
            model=setup.model,
            args=trainer_arguments(
                output,
                setup.device,
                seed,
                num_train_epochs=config.epochs,
                per_device_train_batch_size=config.batch_size,
                max_grad_norm=config.max_grad_norm,
                **(judged if setup.held_out else {"save_strategy": "no"}),
            ),
            train_dataset=setup.rows,
            eval_dataset=setup.held_out,
            data_collator=self._collate,
            optimizers=(optimizer, rates),
            callbacks=[_Start(random_state, setup.device)],
        )
        if setup.held_out and config.patience is not None:
            self.add_callback(EarlyStoppingCallback(config.patience))

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return int(self.state.global_step) // self.per_epoch

    @property
    def chosen(self) -> int:
        """The epoch whose weights are kept, from 1."""
        return int(self.state.best_global_step) // self.per_epoch if self.setup.held_out else self.epochs

    def get_train_dataloader(self) -> DataLoader[Row]:
        """Batches in an order known from the epoch's number alone; no draw from torch's global generator."""
        order = EpochOrder(
            len(self.setup.rows), lambda: child_random(self.order_seed, "encoder order", self.epochs + 1)
        )
        return DataLoader(
            self.setup.rows,  # type: ignore[arg-type]
            batch_size=self.args.per_device_train_batch_size,
            sampler=order,
            collate_fn=self._collate,
            generator=torch.Generator(),
        )

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        """Mean cross-entropy of a batch."""
        target = inputs.pop("labels")
        return self.row_losses(model(**inputs), target).mean()

    def row_losses(self, output: Any, target: torch.Tensor) -> torch.Tensor:
        """The loss of each row."""
        return cross_entropy(output.logits, target, reduction="none")

    def right(self, output: Any, target: torch.Tensor) -> torch.Tensor:
        """Whether each row is answered as it should be."""
        return output.logits.argmax(-1) == target  # type: ignore[no-any-return]

    @torch.no_grad()
    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Accuracy and mean loss on the held-out rows; `eval_rank` orders by the first, then by the second."""
        self.model.eval()
        right = loss = 0.0
        for indices in by_length([row.text for row in self.setup.held_out], 64):
            batch = self._collate([self.setup.held_out[i] for i in indices])
            target = batch.pop("labels")
            output = self.model(**batch)
            right += float(self.right(output, target).sum())
            loss += float(self.row_losses(output, target).sum())
        mean = loss / len(self.setup.held_out)
        self.validation.append((right / len(self.setup.held_out), mean))
        metrics = {"eval_accuracy": self.validation[-1][0], "eval_loss": mean, "eval_rank": right + 1 / (1 + mean)}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _collate(self, batch: Sequence[Row]) -> dict[str, torch.Tensor]:
        labels = torch.tensor([row.label for row in batch], device=self.setup.device)
        return {**collate([row.text for row in batch], self.setup.tokenizer, self.setup.device), "labels": labels}


class SpanTrainer(EncoderTrainer):
    """The same for rows whose label is a span: the loss is the mean of its two ends'."""

    def row_losses(self, output: Any, target: torch.Tensor) -> torch.Tensor:
        """The loss of each row."""
        start, end = target.unbind(-1)
        first = cross_entropy(output.start_logits, start, reduction="none")
        return (first + cross_entropy(output.end_logits, end, reduction="none")) / 2

    def right(self, output: Any, target: torch.Tensor) -> torch.Tensor:
        """Whether both ends are found."""
        found = torch.stack([output.start_logits.argmax(-1), output.end_logits.argmax(-1)], -1)
        return (found == target).all(-1)


class StepLosses(TrainerCallback):  # type: ignore[misc]
    """Keeps each step's loss, which must be a number, and reports the step."""

    def __init__(self, losses: list[float], progress: TrainingProgress | None) -> None:
        self._losses, self._progress = losses, progress

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """After each step."""
        if logs is None or "loss" not in logs:
            return
        check_finite(logs, int(state.global_step), "the encoder's loss", "try a smaller student.encoder.learning_rate")
        self._losses.append(logs["loss"])
        if self._progress is not None:
            self._progress.advance(1, loss=f"{logs['loss']:.3f}")


class _Start(TrainerCallback):  # type: ignore[misc]
    """Goes on with the random numbers behind those of the fresh weights."""

    def __init__(self, states: tuple[torch.Tensor, torch.Tensor | None], device: str) -> None:
        self._states, self._device = states, device

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Before the first step."""
        cpu, cuda = self._states
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, self._device)


def _random_state(device: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.startswith("cuda") else None


def _groups(model: Any, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def warmup_steps(fraction: float, total: int) -> int:
    """Steps in which the rate rises; always fewer than `total`."""
    return min(int(fraction * total), max(0, total - 1))


def rate(step: int, total: int, warmup: int, schedule: str) -> float:
    """The share of the peak rate at `step` (from 0). Never 0 up to step `total`: no step is made in vain.

    It rises to 1 at step `warmup`, then falls so that it would be 0 at step `total`.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = (total - step) / (total - warmup)
    if schedule == "linear":
        return left
    return 1.0 if schedule == "constant" else (1 - math.cos(math.pi * left)) / 2

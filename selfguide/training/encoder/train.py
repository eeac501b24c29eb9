"""Training the encoder classifier on synthetic pairs, from fresh weights every time.

The same pairs and seed give the same bytes on the same machine (on a GPU, as far as its kernels
do). Nothing is kept on the way: a killed training starts again and ends in the same bytes.
"""

import hashlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from selfguide.config.students import EncoderConfig
from selfguide.core.errors import TrainingError
from selfguide.core.files import write_json
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.types import Example
from selfguide.training.checkpoints import publish
from selfguide.training.encoder.base import fresh_encoder, quiet
from selfguide.training.encoder.predict import SETTINGS, by_length
from selfguide.training.encoder.schedule import rate, warmup_steps
from selfguide.training.encoder.text import EncodedText, collate, encode

if TYPE_CHECKING:
    from selfguide.training.job import TrainingProgress


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """A finished training. `validation` is (accuracy, loss) on the held-out pairs after each epoch."""

    folder: Path
    steps: int
    epochs: int  # trained; fewer than asked if it stopped early
    chosen: int  # the epoch whose weights are in `folder`, from 1
    losses: tuple[float, ...]  # of every step
    validation: tuple[tuple[float, float], ...]
    trained: int  # pairs
    held_out: int  # pairs
    cut: int  # pairs longer than `max_length`
    trained_tokens: int  # over all epochs, without padding
    init: str  # hash of the weights before the first step (16 hex digits)


@dataclass(frozen=True, slots=True)
class _Row:
    text: EncodedText
    label: int


def train_encoder(
    config: EncoderConfig,
    labels: Sequence[str],
    pairs: Sequence[Example],
    work: Path,
    seed: int,
    device: str,
    progress: "TrainingProgress | None" = None,
    *,
    validation: Sequence[Example] = (),
    context_until: str | None = None,
) -> EncoderTraining:
    """Train on `pairs` and leave weights, tokenizer and labels in `work/encoder`, or raise `TrainingError`.

    Class numbers are the places in `labels`. The epoch is chosen on a seeded share of the
    pairs, or on `validation`: synthetic pairs, too, never gold. No input text stands on both sides.
    """
    _check(labels, [*pairs, *validation])
    if not pairs:
        raise TrainingError("no pairs to train the encoder on")
    kept, held = (_without(pairs, validation), validation) if validation else _hold_out(pairs, config.held_out, seed)
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(child_seed(seed, "encoder"))
        model, tokenizer, limit = fresh_encoder(config, labels, [pair.input for pair in kept], device)
        init = weights_hash(model)

        def rows(chosen: Sequence[Example]) -> list[_Row]:
            texts = encode(tokenizer, [pair.input for pair in chosen], limit, context_until)
            places = {label: number for number, label in enumerate(labels)}
            return [_Row(text, places[pair.output]) for text, pair in zip(texts, chosen, strict=True)]

        run = _Run(config, model, tokenizer, rows(kept), rows(held), seed, device, progress)
        run.train()
    folder = work / "encoder"
    temporary = work / ".encoder.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    model.load_state_dict(run.best)
    with quiet():
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    write_json(temporary / SETTINGS, {"max_length": limit, "context_until": context_until})
    publish(temporary, folder)
    return EncoderTraining(
        folder=folder,
        steps=len(run.losses),
        epochs=run.epochs,
        chosen=run.chosen,
        losses=tuple(run.losses),
        validation=tuple(run.validation),
        trained=len(kept),
        held_out=len(held),
        cut=sum(row.text.cut for row in run.rows),
        trained_tokens=run.epochs * sum(len(row.text.ids) for row in run.rows),
        init=init,
    )


class _Run:
    """The loop: epochs of steps, each epoch judged on the held-out rows, the best weights kept."""

    def __init__(
        self,
        config: EncoderConfig,
        model: Any,
        tokenizer: Any,
        rows: Sequence[_Row],
        held_out: Sequence[_Row],
        seed: int,
        device: str,
        progress: "TrainingProgress | None",
    ) -> None:
        self.config, self.model, self.tokenizer = config, model, tokenizer
        self.rows, self.held_out = rows, held_out
        self.seed, self.device, self.progress = seed, device, progress
        self.losses: list[float] = []
        self.validation: list[tuple[float, float]] = []
        self.epochs = self.chosen = 0
        self.best: dict[str, torch.Tensor] = {}

    def train(self) -> None:
        config = self.config
        total = config.epochs * math.ceil(len(self.rows) / config.batch_size)
        warmup = warmup_steps(config.warmup_fraction, total)
        optimizer = torch.optim.AdamW(_groups(self.model, config.weight_decay), lr=config.learning_rate)
        for epoch in range(1, config.epochs + 1):
            self.model.train()
            order = list(range(len(self.rows)))
            child_random(self.seed, "encoder order", epoch).shuffle(order)
            for start in range(0, len(order), config.batch_size):
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * rate(len(self.losses), total, warmup, config.schedule)
                self._step(optimizer, [self.rows[i] for i in order[start : start + config.batch_size]])
            self.epochs = epoch
            self._judge()
            if config.patience is not None and self.held_out and epoch - self.chosen >= config.patience:
                return

    def _step(self, optimizer: torch.optim.Optimizer, batch: Sequence[_Row]) -> None:
        loss = cross_entropy(self._logits(batch), self._targets(batch), reduction="none").mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise TrainingError(
                f"the encoder's loss is not a number at step {len(self.losses) + 1}; "
                "try a smaller student.encoder.learning_rate"
            )
        optimizer.step()
        self.losses.append(loss.item())
        if self.progress is not None:
            self.progress.advance(1, loss=f"{loss.item():.3f}")

    def _judge(self) -> None:
        """After an epoch: keep its weights if they are the best. Accuracy first, then loss."""
        if self.held_out:
            self.validation.append(self._held_out())
            keys = [(accuracy, -loss) for accuracy, loss in self.validation]
            if any(key >= keys[-1] for key in keys[:-1]):
                return
        self.chosen = self.epochs
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    def _held_out(self) -> tuple[float, float]:
        self.model.eval()
        right = loss = 0.0
        for places in by_length([row.text for row in self.held_out], 64):
            batch = [self.held_out[i] for i in places]
            logits, target = self._logits(batch), self._targets(batch)
            right += float((logits.argmax(-1) == target).sum())
            loss += float(cross_entropy(logits, target, reduction="none").sum())
        return right / len(self.held_out), loss / len(self.held_out)

    def _logits(self, batch: Sequence[_Row]) -> torch.Tensor:
        logits: torch.Tensor = self.model(**collate([row.text for row in batch], self.tokenizer, self.device)).logits
        return logits

    def _targets(self, batch: Sequence[_Row]) -> torch.Tensor:
        return torch.tensor([row.label for row in batch], device=self.device)


def weights_hash(model: Any) -> str:
    """Hash of a model's tensors and their names (16 hex digits): equal for equal starts."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _check(labels: Sequence[str], pairs: Sequence[Example]) -> None:
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise TrainingError(f"an encoder needs at least two labels, all different; the task has {list(labels)}")
    strange = next((pair.output for pair in pairs if pair.output not in labels), None)
    if strange is not None:
        raise TrainingError(f"an encoder trains on the task's labels; {strange!r} is none of {', '.join(labels)}")


def _without(pairs: Sequence[Example], validation: Sequence[Example]) -> list[Example]:
    shown = {_text(pair) for pair in validation}
    kept = [pair for pair in pairs if _text(pair) not in shown]
    if not kept:
        raise TrainingError("every pair to train the encoder on is also a validation pair")
    return kept


def _hold_out(pairs: Sequence[Example], share: float, seed: int) -> tuple[Sequence[Example], Sequence[Example]]:
    """Trained and held-out pairs, both in the order given. At least one text is held out, if two are there."""
    texts = list(dict.fromkeys(_text(pair) for pair in pairs))
    if share == 0 or len(texts) < 2:
        return pairs, []
    count = min(max(1, round(share * len(texts))), len(texts) - 1)
    chosen = set(child_random(seed, "encoder held out").sample(texts, count))
    return (
        [pair for pair in pairs if _text(pair) not in chosen],
        [pair for pair in pairs if _text(pair) in chosen],
    )


def _text(pair: Example) -> str:
    return " ".join(pair.input.split())


def _groups(model: Any, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and norms do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]

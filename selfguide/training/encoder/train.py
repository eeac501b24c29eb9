"""Training the encoder classifier on synthetic pairs, from fresh weights every time.

The same pairs and seed give the same bytes on the same machine (on a GPU, as far as its kernels
do). Nothing is kept on the way: a killed training starts again and ends in the same bytes.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfguide.config.students import EncoderConfig, SpansConfig
from selfguide.core.errors import TrainingError
from selfguide.core.files import write_json
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.types import Example
from selfguide.training.checkpoints import publish
from selfguide.training.encoder.base import fresh_encoder, quiet
from selfguide.training.encoder.loop import EncoderTrainer, Row, Setup, SpanTrainer, StepLosses
from selfguide.training.encoder.predict import SETTINGS
from selfguide.training.encoder.spans import Reading, span_rows
from selfguide.training.encoder.text import encode
from selfguide.training.job import TrainingProgress


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """A finished training. `validation` is (accuracy, loss) on the held-out pairs after each epoch."""

    folder: Path
    steps: int
    epochs: int  # trained; fewer than requested if it stopped early
    chosen: int  # the epoch whose weights are in `folder`, from 1
    losses: tuple[float, ...]  # of every step
    validation: tuple[tuple[float, float], ...]
    trained: int  # pairs
    held_out: int  # pairs
    cut: int  # pairs longer than `max_length`
    trained_tokens: int  # over all epochs, without padding
    init: str  # hash of the weights before the first step (16 hex digits)


@dataclass(frozen=True, slots=True)
class EncoderData:
    """What an encoder learns from: class numbers are the indices in `labels`; without labels the outputs are spans.

    The epoch is chosen on `validation`: synthetic pairs, too, never gold; without, on a seeded share of `pairs`.
    `context_until` marks the end of an input's fixed part.
    """

    labels: Sequence[str]
    pairs: Sequence[Example]
    validation: Sequence[Example] = ()
    context_until: str | None = None
    instruction: str = ""
    spans: SpansConfig | None = None


def train_encoder(
    config: EncoderConfig,
    data: EncoderData,
    work: Path,
    seed: int,
    device: str,
    progress: TrainingProgress | None = None,
) -> EncoderTraining:
    """Train on `data` and leave weights, tokenizer and labels in `work/encoder`, or raise `TrainingError`.

    No input text stands on both sides, among the trained and the held-out pairs.
    """
    _check(data)
    kept, held = _split(data, config.held_out, seed)
    scratch = work / ".encoder.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda), quiet():
        torch.manual_seed(child_seed(seed, "encoder"))
        model, tokenizer, limit = fresh_encoder(config, data.labels, [pair.input for pair in kept], device)
        init = weights_hash(model)

        reading = None if data.spans is None else Reading(data.context_until, data.instruction, limit, data.spans)

        def rows(chosen: Sequence[Example]) -> list[Row]:
            if reading is not None:
                return span_rows(tokenizer, chosen, reading)
            texts = encode(tokenizer, [pair.input for pair in chosen], limit, data.context_until)
            numbers = {label: number for number, label in enumerate(data.labels)}
            return [Row(text, numbers[pair.output]) for text, pair in zip(texts, chosen, strict=True)]

        setup = Setup(model, tokenizer, rows(kept), rows(held), device)
        if not setup.rows:
            raise TrainingError("no answer is a span of its passage: there is nothing to train the encoder on")
        trainer = (EncoderTrainer if reading is None else SpanTrainer)(config, setup, scratch / "checkpoints", seed)
        trainer.add_callback(StepLosses(trainer.losses, progress))
        trainer.train()
        made = scratch / "encoder"
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
    settings: dict[str, Any] = {"max_length": limit, "context_until": data.context_until}
    if data.spans is not None:
        settings |= {"instruction": data.instruction, "spans": vars(data.spans)}
    write_json(made / SETTINGS, settings)
    publish(made, work / "encoder")
    shutil.rmtree(scratch)
    return EncoderTraining(
        folder=work / "encoder",
        steps=len(trainer.losses),
        epochs=trainer.epochs,
        chosen=trainer.chosen,
        losses=tuple(trainer.losses),
        validation=tuple(trainer.validation),
        trained=len(kept),
        held_out=len(held),
        cut=sum(row.text.cut for row in setup.rows),
        trained_tokens=trainer.epochs * sum(len(row.text.ids) for row in setup.rows),
        init=init,
    )


def weights_hash(model: Any) -> str:
    """Hash of a model's tensors and their names (16 hex digits): equal for equal starts."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _check(data: EncoderData) -> None:
    labels = data.labels
    if not data.pairs:
        raise TrainingError("no pairs to train the encoder on")
    if data.spans is not None:
        return
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise TrainingError(f"an encoder needs at least two labels, all different; the task has {list(labels)}")
    strange = next((pair.output for pair in (*data.pairs, *data.validation) if pair.output not in labels), None)
    if strange is not None:
        raise TrainingError(f"an encoder trains on the task's labels; {strange!r} is none of {', '.join(labels)}")


def _split(data: EncoderData, share: float, seed: int) -> tuple[Sequence[Example], Sequence[Example]]:
    """Trained and held-out pairs."""
    if not data.validation:
        return _hold_out(data.pairs, share, seed)
    shown = {_text(pair) for pair in data.validation}
    kept = [pair for pair in data.pairs if _text(pair) not in shown]
    if not kept:
        raise TrainingError("every pair to train the encoder on is also a validation pair")
    return kept, data.validation


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

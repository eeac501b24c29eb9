"""A trained encoder: texts to probabilities of the task's labels."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from selfguide.core.errors import TrainingError
from selfguide.training.encoder.base import quiet
from selfguide.training.encoder.text import EncodedText, collate, encode

SETTINGS = "selfguide.json"  # beside the weights: what `transformers` has no place for


class EncoderClassifier:
    """Model and tokenizer of a finished training; `labels` are in the order of its outputs."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        labels: Sequence[str],
        *,
        max_length: int,
        context_until: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.labels = tuple(labels)
        self.max_length = max_length
        self.context_until = context_until
        self.device = device

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str] | None = None, device: str = "cpu") -> Self:
        """The classifier in the folder that `train_encoder` left.

        Raises `TrainingError` if `labels` (the task's) are not those of the training, in their order.
        """
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        import selfguide.training.encoder.lstm  # noqa: F401  registers its class

        if not (folder / SETTINGS).exists():
            raise TrainingError(f"{folder} holds no trained encoder")
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32
            )
        known = tuple(model.config.id2label[number] for number in range(model.config.num_labels))
        if labels is not None and tuple(labels) != known:
            raise TrainingError(f"{folder} was trained on the labels {', '.join(known)}, in this order")
        return cls(
            model,
            tokenizer,
            known,
            max_length=settings["max_length"],
            context_until=settings["context_until"],
            device=device,
        )

    def probabilities(self, inputs: Sequence[str], batch: int = 64) -> list[list[float]]:
        """One probability to a label, in the labels' order, for each input."""
        rows = self.encode(inputs)
        result: list[list[float]] = [[] for _ in rows]
        with torch.inference_mode():
            for indices in by_length(rows, batch):
                logits = self.model(**collate([rows[i] for i in indices], self.tokenizer, self.device)).logits
                for index, shares in zip(indices, logits.double().softmax(-1).tolist(), strict=True):
                    result[index] = shares
        return result

    def labels_of(self, inputs: Sequence[str]) -> list[str]:
        """The likeliest label of each input; the first of equals."""
        return [self.labels[shares.index(max(shares))] for shares in self.probabilities(inputs)]

    def encode(self, inputs: Sequence[str]) -> list[EncodedText]:
        """Inputs as token ids, cut to `max_length`."""
        return encode(self.tokenizer, inputs, self.max_length, self.context_until)


def by_length(rows: Sequence[EncodedText], batch: int) -> Iterator[list[int]]:
    """Indices of `rows` in batches of about equal length."""
    order = sorted(range(len(rows)), key=lambda index: (len(rows[index].ids), index))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]

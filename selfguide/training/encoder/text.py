"""From texts to padded batches of token ids. One way for training, predicting and influence."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from selfguide.tasks.context import split_context


class EncodedText(NamedTuple):
    """Token ids and segment ids of one text, special tokens included. `cut`: it was longer than allowed."""

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    cut: bool


def encode(tokenizer: Any, texts: Sequence[str], max_length: int, context_until: str | None) -> list[EncodedText]:
    """Texts as the encoder reads them, each at most `max_length` tokens.

    A text that has its task's marker becomes a pair of sentences, and what is too long is taken
    from the longer one: a long context never pushes the sentence that is asked about out of sight.
    """
    encoded: list[EncodedText] = []
    for text in texts:
        parts = split_context(text, context_until)
        row = tokenizer(
            *((text,) if parts is None else (parts.context, parts.target.strip())),
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
        )
        encoded.append(
            EncodedText(tuple(row["input_ids"]), tuple(row["token_type_ids"]), bool(row.encodings[0].overflowing))
        )
    return encoded


def collate(rows: Sequence[EncodedText], tokenizer: Any, device: str) -> dict[str, torch.Tensor]:
    """Rows padded on the right to the longest of them, each tensor (rows, tokens)."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id or 0)
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        segments[index, : len(row.ids)] = torch.tensor(row.segments)
        mask[index, : len(row.ids)] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in tokenizer.model_input_names:  # DistilBERT and RoBERTa have no segments
        batch["token_type_ids"] = segments
    return {name: tensor.to(device) for name, tensor in batch.items()}

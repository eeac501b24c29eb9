"""Reference log-probabilities: what the trainer itself gives some training answers, kept beside each epoch's weights.

An engine that serves those weights must agree (`selfguide.evaluation.canary`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfguide.core.files import json_text, write_text
from selfguide.training.rows import TrainingRow

if TYPE_CHECKING:
    from selfguide.training.batches import Batches, Packed

FILE = "reference_logprobs.json"
ROWS = 32
ROWS_AT_ONCE = 16
TOKENS = 64
"""Only the first tokens of an answer are kept: they tell as much."""


def reference_indices(rows: int) -> list[int]:
    """At most `ROWS` row indices, spread evenly over the training rows."""
    step = max(1, rows / ROWS)
    return [int(i * step) for i in range(min(rows, ROWS))]


def write_reference_logprobs(
    model: Any, rows: Sequence[TrainingRow], folder: Path | None, batches: "Batches | None" = None
) -> None:
    """Log-probabilities (nats a token) of some rows' answers under the model as it stands, in evaluation mode.

    Row by row, or packed as the training was, `ROWS_AT_ONCE` at a time. Without a folder they are computed only:
    sharded weights need every process to take part.
    """
    import torch

    from selfguide.training.batches import Packed

    kept = {i: replace(rows[i], answer_ids=rows[i].answer_ids[:TOKENS]) for i in reference_indices(len(rows))}
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            if isinstance(batches, Packed):
                logprobs = _together(model, kept, batches)
            else:
                logprobs = {index: _alone(model, row) for index, row in kept.items()}
    finally:
        model.train(was_training)
    if folder is None:
        return
    lines = [
        {"row": index, "prompt": row.prompt_ids, "answer": row.answer_ids, "logprobs": logprobs[index]}
        for index, row in kept.items()
    ]
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    write_text(folder / FILE, json_text({"dtype": dtype, "rows": lines}) + "\n")


def _alone(model: Any, row: TrainingRow) -> list[float]:
    import torch

    answer = row.answer_ids
    ids = torch.tensor([[*row.prompt_ids, *answer]], device=model.device)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer) + 1).logits
    scores = logits[0, :-1].float().log_softmax(-1)
    values: list[float] = scores.gather(-1, ids[0, -len(answer) :, None])[:, 0].tolist()
    return values


def _together(model: Any, rows: dict[int, TrainingRow], packed: "Packed") -> dict[int, list[float]]:
    from selfguide.training.batches import packed_logprobs

    order = sorted(rows, key=lambda index: rows[index].prompt_ids)  # rows that share a prompt, in the same pass
    logprobs: dict[int, list[float]] = {}
    for start in range(0, len(order), ROWS_AT_ONCE):
        part = order[start : start + ROWS_AT_ONCE]
        values = iter(packed_logprobs(model, packed, [rows[index] for index in part]).tolist())
        logprobs |= {index: list(islice(values, len(rows[index].answer_ids))) for index in part}
    return logprobs

"""Reference log-probabilities: what the trainer itself gives some training answers, kept beside each epoch's weights.

An engine that serves those weights must agree (`selfguide.evaluation.canary`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.core.files import json_text, write_text
from selfguide.training.rows import TrainingRow

FILE = "reference_logprobs.json"
ROWS = 32
TOKENS = 64
"""Only the first tokens of an answer are kept: they tell as much."""


def reference_indices(rows: int) -> list[int]:
    """At most `ROWS` row indices, spread evenly over the training rows."""
    step = max(1, rows / ROWS)
    return [int(i * step) for i in range(min(rows, ROWS))]


def write_reference_logprobs(model: Any, rows: Sequence[TrainingRow], folder: Path | None) -> None:
    """Log-probabilities (nats a token) of some rows' answers under the model as it stands, in evaluation mode.

    Without a folder they are computed only: sharded weights need every process to take part.
    """
    import torch

    was_training = model.training
    model.eval()
    kept = []
    try:
        with torch.no_grad():
            for index in reference_indices(len(rows)):
                row = rows[index]
                answer = row.answer_ids[:TOKENS]
                ids = torch.tensor([[*row.prompt_ids, *answer]], device=model.device)
                logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer) + 1).logits
                scores = logits[0, :-1].float().log_softmax(-1)
                logprobs = scores.gather(-1, ids[0, -len(answer) :, None])[:, 0].tolist()
                kept.append({"row": index, "prompt": row.prompt_ids, "answer": answer, "logprobs": logprobs})
    finally:
        model.train(was_training)
    if folder is None:
        return
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    write_text(folder / FILE, json_text({"dtype": dtype, "rows": kept}) + "\n")

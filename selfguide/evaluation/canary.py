"""The canary in a run: which training rows and which tolerance belong to the weights to be scored."""

import json
from typing import Any

from selfguide.engines.base import Weights
from selfguide.engines.canary import check, read, tolerance_for
from selfguide.finetuning.rows import build_rows
from selfguide.models import pick_device, torch_dtype
from selfguide.session import Session
from selfguide.store.atomic import read_jsonl
from selfguide.types import Example

PAIRS = "pairs.jsonl"


def verify(session: Session, weights: Weights) -> dict[str, Any]:
    """The verdict on these weights; raises `EngineError` with the reason if the engine does not serve them."""
    config = session.config
    training = weights.path.parent
    pairs = [Example(**row) for row in read_jsonl(training / PAIRS)]
    leave_one_out = bool(json.loads((training / "spec.json").read_text(encoding="utf-8"))["leave_one_out"])
    rows = build_rows(session.task, pairs, session.tokenizer, config.finetuning, config.seed, leave_one_out).rows
    tolerance = config.evaluation.canary_tolerance
    if tolerance is None:
        served = str(torch_dtype(config.model.dtype, pick_device("auto"))).removeprefix("torch.")
        quantized = config.finetuning.quantization != "none" or getattr(config.engine, "quantization", None) is not None
        tolerance = tolerance_for(served, read(weights.path)["dtype"], quantized)
    verdict = check(session.engine, weights, rows, tolerance)
    if not verdict["learned"]:
        session.terminal.warn(f"weights {weights.name}: finetuning hardly changed the model")
    return verdict

"""The canary in a run: which training rows and which tolerance belong to the weights that are to answer."""

import json
from pathlib import Path
from typing import Any

from selfguide.core.files import read_jsonl
from selfguide.core.types import Example, Instance
from selfguide.evaluation.contender import Contender
from selfguide.evaluation.parity import check, read, tolerance_for
from selfguide.evaluation.predict import served_prompts
from selfguide.models.base import Weights
from selfguide.models.loading import pick_device, torch_dtype
from selfguide.models.session import Session
from selfguide.store import fingerprint
from selfguide.training.rows import build_rows, demonstrations_shown

PAIRS = "pairs.jsonl"


def trusted(session: Session, weights: Weights) -> dict[str, Any] | None:
    """The verdict on these weights, before anything that they answer is used; None with `evaluation.canary=false`.

    A stage of its own: answers that are in the store are not believed without it. Raises `EngineError`
    with the reason if the engine does not serve the weights; such a verdict is not kept.
    """
    config = session.config
    if not config.evaluation.canary:
        return None
    spec = {
        **session.base_spec(version=1),
        "weights": weights.name,
        "rows": fingerprint([read(weights.path), list(read_jsonl(weights.path.parent / PAIRS))]),
        "tolerance": config.evaluation.canary_tolerance,
        "quantization": config.finetuning.quantization,
    }
    del spec["seed"]

    def build(work: Path) -> dict[str, Any]:
        before = session.engine.tokens.copy()
        verdict = check(session.engine, weights, served_rows(session, weights), _tolerance(session, weights))
        spent = session.engine.tokens - before
        return {
            "verdict": verdict,
            "tokens": {"prompt": spent.prompt, "generated": spent.generated, "calls": spent.calls},
        }

    name = f"canary_{weights.name}"
    known = name in session.stages
    verdict: dict[str, Any] = session.stage(name, "canary", spec, build).info["verdict"]
    if not verdict["learned"] and not known:
        session.terminal.warn(f"weights {weights.name}: finetuning hardly changed the model")
    return verdict


def served_rows(session: Session, weights: Weights) -> dict[int, tuple[int, ...]]:
    """Prompt ids of the rows that the trainer vouched for, by number, as `predict` sends them to the engine."""
    config, task, tokenizer = session.config, session.task, session.tokenizer
    training = weights.path.parent
    pairs = [Example(**row) for row in read_jsonl(training / PAIRS)]
    leave_one_out = bool(json.loads((training / "spec.json").read_text(encoding="utf-8"))["leave_one_out"])
    places = build_rows(task, pairs, tokenizer, config.finetuning, config.seed, leave_one_out).places
    served = {}
    for number in (row["row"] for row in read(weights.path)["rows"]):
        if number >= len(places):
            continue
        pair = pairs[places[number]]
        shown = demonstrations_shown(task, pair, places[number], config.finetuning, config.seed, leave_one_out)
        contender = Contender(weights, None if shown == tuple(task.demonstrations) else shown)
        [[served[number]]] = served_prompts(tokenizer, task, [Instance("", pair.input, ())], [contender])
    return served


def _tolerance(session: Session, weights: Weights) -> float:
    config = session.config
    if config.evaluation.canary_tolerance is not None:
        return config.evaluation.canary_tolerance
    served = str(torch_dtype(config.model.dtype, pick_device("auto"))).removeprefix("torch.")
    quantized = config.finetuning.quantization != "none" or getattr(config.engine, "quantization", None) is not None
    return tolerance_for(served, read(weights.path)["dtype"], quantized)

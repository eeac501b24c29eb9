"""The training stage, bound to the store: weights that are in it are found.

A stage's spec names everything its content depends on and nothing else: see `selfguide.store`.
The numbers are versions of the code; raise one when a stage's output changes for the same spec.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.config.schema import FinetuningConfig
from selfguide.core.files import write_jsonl
from selfguide.core.types import Example
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import fingerprint


@dataclass(frozen=True, slots=True)
class Trained:
    """Finetuned weights after each epoch, and what the training saw."""

    epochs: tuple[Weights, ...]
    rows: int
    over_length: int


def training_stage(
    session: Session,
    name: str,
    pairs: Sequence[Example],
    *,
    leave_one_out: bool = False,
    finetuning: FinetuningConfig | None = None,
) -> Trained:
    """Step 5: the same model, finetuned on `pairs` with the demonstrations in context.

    `finetuning` stands in for the run's own. `leave_one_out` is for pairs that are the demonstrations
    themselves: none stands in its own context.
    """
    from selfguide.training.weights import weights_of

    config = replace(session.config, finetuning=finetuning or session.config.finetuning)
    spec = {
        **session.base_spec(version=2),
        "pairs": fingerprint([(p.input, p.output) for p in pairs]),
        "leave_one_out": leave_one_out,
        "finetuning": knobs_of(config.finetuning, "training"),
    }
    del spec["engine"]

    def build(work: Path) -> dict[str, Any]:
        from selfguide.training.rows import build_rows, show_row
        from selfguide.training.trainer import finetune, steps_per_epoch

        write_jsonl(work / "pairs.jsonl", ({"input": p.input, "output": p.output} for p in pairs))
        built = build_rows(session.task, pairs, session.tokenizer, config.finetuning, config.seed, leave_one_out)
        session.terminal.say(f"first training row ({name}); the model learns what stands between « and »:")
        session.terminal.say(show_row(built.rows[0], session.tokenizer))
        session.free_device()
        total = steps_per_epoch(config.finetuning, len(built.rows)) * config.finetuning.max_epochs
        with session.terminal.bar(f"finetuning ({name})", total, "steps") as bar:
            result = finetune(config, session.tokenizer, built.rows, work, config.seed, bar)
        return {
            "rows": len(built.rows),
            "over_length": built.over_length,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
        }

    stage = session.stage(name, "training", spec, build)
    epochs = tuple(
        weights_of(stage.path / f"epoch-{epoch}", config.finetuning)
        for epoch in range(1, config.finetuning.max_epochs + 1)
    )
    return Trained(epochs, stage.info["rows"], stage.info["over_length"])

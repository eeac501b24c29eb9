"""One training from files: `python -m selfguide.training.worker JOB_FOLDER`.

The folder holds `job.json` (seed; the model, engine and finetuning sections of the configuration)
and `rows.jsonl` ({"prompt_ids", "answer_ids"}); the weights come to stand in it. Any launcher can
start it, in as many processes as it likes.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from selfguide.config.schema import RunConfig
from selfguide.core.files import read_jsonl, write_json, write_jsonl
from selfguide.training.rows import TrainingRow


def write_job(folder: Path, config: RunConfig, rows: Sequence[TrainingRow], seed: int) -> None:
    """Leave in `folder` all that `run_job` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "rows.jsonl", ({"prompt_ids": r.prompt_ids, "answer_ids": r.answer_ids} for r in rows))
    sections = {name: _plain(getattr(config, name)) for name in ("model", "engine", "finetuning")}
    write_json(folder / "job.json", {"seed": seed, **sections})


def run_job(folder: Path) -> None:
    """Train the job in `folder`, or go on with it."""
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.training.processes import leave, workers
    from selfguide.training.trainer import finetune

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sections = {name: SimpleNamespace(**job[name]) for name in ("model", "engine", "finetuning")}
    config = cast(RunConfig, SimpleNamespace(seed=job["seed"], **sections))
    rows = [TrainingRow(tuple(r["prompt_ids"]), tuple(r["answer_ids"])) for r in read_jsonl(folder / "rows.jsonl")]
    finetune(config, load_prompt_tokenizer(config.model), rows, folder, job["seed"])
    if workers() > 1:
        leave()


def _plain(node: Any) -> dict[str, Any]:
    return (
        dataclasses.asdict(node) if dataclasses.is_dataclass(node) and not isinstance(node, type) else dict(vars(node))
    )


if __name__ == "__main__":
    run_job(Path(sys.argv[1]))

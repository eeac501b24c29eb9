"""A table of minutes at most: two bundled tasks on the bundled model, everything small."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

TASKS = {"classification": "micro_barn_or_garage", "generation": "micro_color_word"}
SMALL = (
    "synthesis=smoke", "filters.input_length=off", "annotation.min_share=0.1", "evaluation.limit=8",
    "evaluation.max_new_tokens=8", "evaluation.controls=false", "evaluation.bootstrap=100", "finetuning.epochs=1",
    "finetuning.max_epochs=1",
)  # fmt: skip


def write_table(folder: Path, rows: dict[str, Sequence[str]], *, seeds: Sequence[int] = (0, 1), **more: Any) -> Path:
    """`folder`/conf/table/tiny.yaml; returns the folder for --config-dir."""
    table = {
        "name": "tiny",
        "title": "Tiny",
        "rows": {name: {"label": name.replace("_", " "), "overrides": list(some)} for name, some in rows.items()},
        "sizes": {
            "micro": {
                "seeds": list(seeds),
                "overrides": [*SMALL, f"store.root={folder / 'store'}"],
                "groups": {name: {"label": name, "tasks": [task]} for name, task in TASKS.items()},
            }
        },
        "runs": str(folder / "runs"),
        "output": str(folder / "out"),
        **more,
    }
    conf = folder / "conf"
    (conf / "table").mkdir(parents=True, exist_ok=True)
    text = "# @package _global_\n" + yaml.safe_dump(table, sort_keys=False)
    (conf / "table" / "tiny.yaml").write_text(text, encoding="utf-8")
    return conf


def read_csv(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))

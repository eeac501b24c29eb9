"""A loop method through the whole run on a scripted teacher and student, in a fraction of a second."""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.pipeline import run
from selfguide.testing.scripted import Answer, Likelihood, ScriptedEngine, certain
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

TOKENIZER = load_prompt_tokenizer(run_config("task=sni", "task.id=task1").model)
# Nothing is finetuned, so the scripted engine is teacher and student at once.
QUIET = ("finetuning=none", "evaluation.controls=false")
LOOP = ("method.filter.min_words=0", "generation.neighbours.show_demonstrations=false")


class Ran:
    """What a run left, and what its engine was asked."""

    def __init__(self, folder: Path, engine: ScriptedEngine) -> None:
        self.folder, self.engine = folder, engine
        self.result: dict[str, Any] = json.loads((folder / "result.json").read_text())

    def rows(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def rounds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.result["diagnostics"]["rounds"]
        return found


def scripted(
    folder: Path,
    answer: Answer,
    *overrides: str,
    classification: bool = True,
    task: Path | None = None,
    name: str = "run",
    loop: bool = True,
    likelihood: Likelihood = certain,
) -> Ran:
    """A run of `overrides` on the tiny task (or `task`), answered by `answer`."""
    folder.mkdir(exist_ok=True)
    task = task or write_task(folder, classification=classification)
    engine = ScriptedEngine(TOKENIZER.decode, answer, likelihood=likelihood)
    config = run_config(*smoke(task, folder / f"store-{name}", *QUIET, *(LOOP if loop else ()), *overrides))
    run(config, folder / name, Terminal(Console(file=io.StringIO())), engine)
    return Ran(folder / name, engine)

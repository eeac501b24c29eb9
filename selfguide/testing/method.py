"""What every method must do. Subclass `MethodContract` and say how the method is chosen.

The runs are whole ones on a task of 30 instances, answered by a scripted engine: seconds, no model but its tokenizer.
"""

import io
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.config.schema import RunConfig
from selfguide.core.console import Terminal
from selfguide.models.base import Completion, Progress, Request
from selfguide.testing.scripted import ScriptedEngine

COLORS = ("red", "blue", "green", "black", "white", "brown")
THINGS = ("ball", "hat", "car", "book", "door")
SMALL = (
    "synthesis=smoke", "filters.input_length=off", "annotation.min_share=0.1", "data.validation_fraction=0.5",
    "evaluation.bootstrap=100", "evaluation.controls=false", "finetuning=none", "annotation.annotator=base",
)  # fmt: skip


def run_config(*overrides: str) -> RunConfig:
    """The configuration of `selfguide run OVERRIDES`."""
    from selfguide.config.composing import composed, own_hydra
    from selfguide.config.validate import typed

    with own_hydra():
        return typed(composed(overrides))


def write_task(folder: Path, gold: str = "{shade}") -> Path:
    """A task file: is a thing dark or light; `gold` is the pattern of the instances' outputs."""
    rows = [
        {
            "input": f"Tom saw the {color} {thing}.",
            "output": "dark" if color in ("black", "brown", "blue") else "light",
        }
        for color, thing in itertools.product(COLORS, THINGS)
    ]
    examples = [rows.pop(index) for index in (0, 6, 17)]
    for row in rows:
        row["output"] = gold.format(shade=row["output"])
    document = {"instruction": "Dark or light?", "labels": ["dark", "light"], "examples": examples, "instances": rows}
    path = folder / "shade.json"
    path.write_text(json.dumps(document))
    return path


def answer(prompt: str, seed: int, sample: int) -> str:
    """A label where one is asked for, else a new input; decided by prompt, seed and sample alone."""
    number = sum(map(ord, prompt)) + seed + sample
    if prompt.rstrip().endswith("Output:") or not re.search(r"new input", prompt, re.IGNORECASE):
        return ("dark", "light")[number % 2]
    return f"Ann has the {COLORS[number % 6]} {THINGS[number // 6 % 5]} and {number % 97} more."


class DyingEngine(ScriptedEngine):
    """Is killed in the call after `calls`."""

    calls = 2

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        if len(self.batches) >= self.calls:
            raise KeyboardInterrupt
        return super().generate(requests, progress)


class MethodContract:
    """Gold stays out of what is made, the seed decides everything, a killed run goes on."""

    overrides: tuple[str, ...]
    """How the method is chosen, e.g. `("method=mine", "method.rows=4")`."""
    files = ("dataset.jsonl", "candidates.jsonl", "predictions.jsonl")

    def test_the_same_seed_gives_the_same_files(self, tmp_path: Path) -> None:
        assert self.made(self.run(tmp_path / "one")) == self.made(self.run(tmp_path / "two"))

    def test_gold_decides_nothing_that_is_made(self, tmp_path: Path) -> None:
        if run_config(*self.overrides).method.claims_gold:
            pytest.skip("this method claims gold")
        plain = self.made(self.run(tmp_path / "plain"))
        changed = self.made(self.run(tmp_path / "changed", gold="light"))
        assert plain["dataset.jsonl"] == changed["dataset.jsonl"]
        assert plain["candidates.jsonl"] == changed["candidates.jsonl"]

    def test_a_killed_run_goes_on_to_the_same_result(self, tmp_path: Path) -> None:
        whole = self.made(self.run(tmp_path / "whole"))
        for calls in (1, 2, 4):
            folder = tmp_path / f"killed-{calls}"
            try:
                self.run(folder, dies_after=calls)
            except KeyboardInterrupt:
                assert not (folder / "run" / "result.json").exists()
            assert self.made(self.run(folder)) == whole

    def run(self, folder: Path, gold: str = "{shade}", dies_after: int | None = None) -> Path:
        """A whole run with its own store in `folder`; returns the run folder."""
        from selfguide.models.loading import load_prompt_tokenizer
        from selfguide.pipeline import run

        folder.mkdir(exist_ok=True)
        task = write_task(folder, gold)
        config = run_config(
            "task=json", f"task.path={task}", "task.name=shade", f"store.root={folder}/store", *SMALL, *self.overrides
        )
        decode = load_prompt_tokenizer(config.model).decode
        engine = ScriptedEngine(decode, answer) if dies_after is None else DyingEngine(decode, answer)
        if isinstance(engine, DyingEngine):
            engine.calls = dies_after or 0
        run(config, folder / "run", Terminal(Console(file=io.StringIO())), engine)
        return folder / "run"

    def made(self, folder: Path) -> dict[str, Any]:
        """The method's files by name (None: not there) and the score."""
        files = {name: (folder / name).read_bytes() if (folder / name).exists() else None for name in self.files}
        return {**files, "score": json.loads((folder / "result.json").read_text())["score"]}

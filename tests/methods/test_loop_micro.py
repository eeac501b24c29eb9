"""The loop with the bundled model as teacher and student. What is asserted:

- every round trains from fresh weights: the last weights are those of a training on the last rows alone;
- with `budget=equal_steps` every round takes the same number of optimiser steps, however many rows it has;
- an encoder can be the student, and its influence fills the pool.
"""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.files import read_jsonl
from selfguide.core.types import Example
from selfguide.methods.student import train_student
from selfguide.models.session import Session
from selfguide.pipeline import run
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

SMALL = (
    "method.propose.show_demonstrations=true",
    "method.propose.draw.max_new_tokens=30",
    "method.attributes.kind=none",
    "method.initial_data.items=10",
    "method.loop.rounds=1",
    "evaluation.controls=false",
)


def finished(folder: Path, *overrides: str, name: str = "run") -> dict[str, Any]:
    task = write_task(folder, classification=True)
    run(
        run_config(*smoke(task, folder / "store", *SMALL, *overrides)),
        folder / name,
        Terminal(Console(file=io.StringIO())),
    )
    return json.loads((folder / name / "details.json").read_text())["stages"]  # type: ignore[no-any-return]


@pytest.mark.slow
def test_every_round_starts_from_fresh_weights(tmp_path: Path) -> None:
    stages = finished(tmp_path, "method=s3")
    assert stages["training"]["rows"] > stages["training_0"]["rows"]
    rows = [Example(**row) for row in read_jsonl(tmp_path / "run" / "dataset.jsonl")]
    config = run_config(*smoke(tmp_path / "shade.json", tmp_path / "elsewhere", *SMALL, "method=s3"))
    task, _ = load_task(config.task, config.data, config.seed)
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        alone = train_student(session, rows).epochs[config.finetuning.epochs - 1]
    name = "adapter_model.safetensors"
    assert (alone.path / name).read_bytes() == (tmp_path / "run" / "adapter" / name).read_bytes()


def test_equal_steps_whatever_the_rows(tmp_path: Path) -> None:
    stages = finished(tmp_path, "method=s3", "budget=equal_steps", "budget.steps=3")
    assert stages["training"]["steps"] == stages["training_0"]["steps"] == 3


@pytest.mark.slow
def test_an_encoder_is_the_student_and_its_influence_fills_the_pool(tmp_path: Path) -> None:
    more = ("method.initial_data.items=36", "method.loop.rounds=null", "method.propose.feedback.start=12")
    more += ("method.diagnose.score_above=10", "method.filter.min_words=2", "student=encoder_scratch")
    stages = finished(tmp_path, "method=progen", *more, "student.encoder.epochs=2", "student.influence.scale=10000")
    assert {"influence_0", "training_0", "training"} <= set(stages)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    scored = [notes for notes in result["diagnostics"]["rounds"] if notes.get("scored")]
    assert scored and all(0 < notes["pool"] < notes["scored"] for notes in scored)
    # What is scored was trained on, all of it; what judges it chose the epoch.
    assert stages["training_0"]["rows"] == scored[0]["scored"]
    assert stages["training_0"]["held_out"] == scored[0]["rows"] - scored[0]["scored"]

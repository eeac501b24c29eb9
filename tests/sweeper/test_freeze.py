"""From a sweep to its frozen setting to a run that takes it, with the program itself; and what is refused then."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError
from selfguide.pipeline import run
from selfguide.search.freeze import with_lock
from selfguide.search.frozen_config import load
from tests import cli
from tests.composing import composed
from tests.tiny_task import write_task

COMMON = ["method=few_shot_icl", "data.validation_fraction=0.5", "evaluation.limit=3", "evaluation.bootstrap=200"]


@dataclass(frozen=True)
class NeverWritten:
    """For `tests.cli`: a command that opens a file of this name for writing, instead of replacing it, ends in a bug."""

    names: tuple[str, ...]

    def __call__(self) -> None:
        def opened(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open" and arguments[2] & os.O_WRONLY and str(arguments[0]).endswith(self.names):
                raise AssertionError(arguments[0])

        sys.addaudithook(opened)


def sweep(folder: Path, space: str, before: NeverWritten | None = None) -> CompletedProcess[str]:
    done = cli.run(
        "selfguide.main", "-m", "+sweep=default", "sweep.name=small", *COMMON,
        f"sweep.tasks=['json task.path={folder}/valid.json task.name=valid']",
        f"sweep.test_tasks=['json task.path={folder}/mine.json task.name=mine']",
        space, "sweep.sampler=grid", f"store.root={folder}/store", cwd=folder, before=before,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of two settings on a validation task, frozen for a test task."""
    folder = tmp_path_factory.mktemp("swept")
    for name, classification in (("valid", True), ("mine", False)):
        write_task(folder, classification=classification).rename(folder / f"{name}.json")
    done = sweep(folder, "temperature.input=choice(0.6,0.8)")
    assert "recorded: sweeps/small/lock.yaml; use it with frozen_config=sweeps/small" in done.stdout
    return folder


def locked(folder: Path, *more: str, task: str = "mine") -> RunConfig:
    overrides = [
        *COMMON, "task=json", f"task.path={folder}/{task}.json", f"task.name={task}", f"store.root={folder}/store",
        "evaluation.split=test", f"frozen_config={folder}/sweeps/small", *more,
    ]  # fmt: skip
    return typed(with_lock(composed(*overrides), overrides))


@pytest.mark.slow
def test_the_lock_is_taken_by_a_run(swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = load(swept / "sweeps" / "small" / "lock.yaml")
    assert lock.setting == {"temperature.input": 0.6} and list(lock.content["test_tasks"]) == ["mine"]
    assert lock.content["objective"]["expected_on_fresh_instances"] == pytest.approx(
        lock.content["objective"]["value"], abs=1e-6
    ), "both settings answer alike: nothing was gained by choosing"
    config = locked(swept)
    assert config.temperature.input == 0.6
    run(config, tmp_path / "run")
    # Prompting alone makes no data and no weights: the last line names what there is.
    assert (
        capsys.readouterr()
        .out.rstrip()
        .endswith("(report.html, result.json, details.json, predictions.jsonl, run.log)")
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["frozen"] is True and result["lock"]["hash"] == lock.hash and result["lock"]["same_model"] is True


def test_what_it_was_not_frozen_for_is_refused(swept: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"differs: temperature.input: 0.6 -> 0.8"):
        locked(swept, "temperature.input=0.8")
    with pytest.raises(ConfigError, match=r"data.validation_fraction: 0.5 -> 0.4"):
        run(locked(swept, "data.validation_fraction=0.4"), tmp_path / "run")
    file = swept / "mine.json"
    before = file.read_text()
    content = json.loads(before)
    for row in content["instances"]:
        row["input"] += " Really."
    file.write_text(json.dumps(content))
    try:
        with pytest.raises(ConfigError, match=r"does not fit this run: mine.test.hash: "):
            run(locked(swept), tmp_path / "run")
    finally:
        file.write_text(before)
    assert not (tmp_path / "run" / "result.json").exists()


def test_what_is_recorded_is_whole_at_any_moment(swept: Path) -> None:
    before = load(swept / "sweeps" / "small" / "lock.yaml")
    sweep(swept, "temperature.input=choice(0.6,0.8)", NeverWritten(("small/lock.yaml", "small/trials.md")))
    assert load(swept / "sweeps" / "small" / "lock.yaml").hash == before.hash


@pytest.mark.slow
def test_another_study_leaves_the_recorded_setting_to_its_own(swept: Path) -> None:
    recorded = swept / "sweeps" / "small" / "lock.yaml"
    before = recorded.read_bytes()
    said = sweep(swept, "temperature.input=choice(0.7,0.9)").stdout
    assert "sweeps/small/lock.yaml is the frozen setting of another study" in " ".join(said.split())
    assert recorded.read_bytes() == before

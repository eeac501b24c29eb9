"""Trackers for real: W&B in offline mode, TensorBoard's own reader."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.tracking import shown, tracked
from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError
from tests import cli
from tests.analysis.folders import write_run
from tests.composing import run_config
from tests.tiny_task import write_task
from tests.tracking import wandb_file

GOLD = re.compile(rb"gold\d+ ")
SECRET = "open-sesame"  # short enough to be masked, not refused when it is composed


def config_for(folder: Path, *overrides: str) -> tuple[RunConfig, tuple[str, ...]]:
    more = ("task=json", "task.path=unused.json", "task.name=task_a", "synthesis=default", "evaluation.bootstrap=200")
    chosen = (*overrides, f"store.root={folder / 'store'}")
    return run_config(*more, *chosen), chosen


def track(folder: Path, *overrides: str) -> Path:
    """One tracked job whose files are those of `write_run`."""
    config, chosen = config_for(folder.parent, *overrides)
    with tracked(config, folder):
        write_run(folder, *chosen, proposals=40, instances=20)
        adapter = folder / "adapter"
        adapter.mkdir(exist_ok=True)
        (adapter / "adapter_config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("wandb")
    os.environ["SOME_API_KEY"] = SECRET
    try:
        track(folder / "run", "tracking=wandb", "tracking.mode=offline", f"tracking.tags=[{SECRET}]")
    finally:
        del os.environ["SOME_API_KEY"]
    return folder / "run", wandb_file.records(folder / "run")


def test_wandb_has_metrics_losses_tables_and_artifacts(offline: tuple[Path, list[Any]]) -> None:
    folder, found = offline
    result = json.loads((folder / "result.json").read_text())
    summary = wandb_file.summary(found)
    assert summary["score"] == pytest.approx(result["score"]["value"])
    assert summary["gain/p"] == pytest.approx(result["gain"]["p"])
    rows = wandb_file.history(found)
    losses = [row["training/training"] for row in rows if "training/training" in row]
    assert losses == [row["loss"] for row in json.loads((folder / "details.json").read_text())["losses"]["training"]]
    assert any(key.startswith("candidates") for row in rows for key in row)
    names = {a.name: {entry.path for entry in a.manifest.contents} for a in wandb_file.artifacts(found)}
    assert names["task_a-dataset"] == {"dataset.jsonl", "candidates.jsonl"}
    assert names["task_a-adapter"] == {"adapter_config.json"}


def test_wandb_gets_no_gold_of_the_test_split_and_no_secret(offline: tuple[Path, list[Any]]) -> None:
    folder, _ = offline
    assert GOLD.search((folder / "predictions.jsonl").read_bytes())
    files = [file for file in (folder / "wandb").rglob("*") if file.is_file()]
    assert files
    for file in files:
        content = file.read_bytes()
        assert not GOLD.search(content), file
        # The tag is the user's own word; everything else that held it is masked.
        assert content.count(SECRET.encode()) <= (1 if file.suffix == ".wandb" else 0), file


def test_wandb_shows_the_gold_of_a_validation_split(tmp_path: Path) -> None:
    folder = track(tmp_path / "run", "tracking=wandb", "tracking.mode=offline", "evaluation.split=validation")
    assert any(GOLD.search(file.read_bytes()) for file in (folder / "wandb").rglob("*.table.json"))


def test_a_restarted_job_is_the_same_wandb_run_and_tells_its_history_once(tmp_path: Path) -> None:
    chosen = ("tracking=wandb", "tracking.mode=offline")
    with pytest.raises(KeyboardInterrupt):
        config, _ = config_for(tmp_path, *chosen)
        with tracked(config, tmp_path / "killed"):
            raise KeyboardInterrupt
    folders = [tmp_path / "killed", track(tmp_path / "again", *chosen), track(tmp_path / "third", *chosen)]
    found = [wandb_file.records(folder) for folder in folders]
    assert len({wandb_file.run_of(one).run_id for one in found}) == 1
    told = [sum("training/training" in row for row in wandb_file.history(one)) for one in found]
    assert told == [0, 90, 0]
    other = track(tmp_path / "other", *chosen, "seed=1")
    assert wandb_file.run_of(wandb_file.records(other)).run_id != wandb_file.run_of(found[0]).run_id


def test_jobs_of_a_sweep_share_their_group(tmp_path: Path) -> None:
    folder = track(tmp_path / "run", "tracking=wandb", "tracking.mode=offline", "tracking.group=my-sweep")
    assert wandb_file.run_of(wandb_file.records(folder)).run_group == "my-sweep"


@pytest.mark.slow  # four runs with a tracker's process each
def test_the_jobs_of_a_study_are_one_group(tmp_path: Path) -> None:
    command = [
        "selfguide.main", "-m", "+sweep=one_parameter_micro", "sweep.name=grouped",
        "sweep.tasks=[micro_time_stamp,micro_find_vehicle]", "sweep.test_tasks=[]", "sweep.record=null",
        "sweep.sampler=random", "sweep.trials=2", "sweep.racing=off", "sweep.confirm.finalists=0",
        "method=few_shot_icl", "evaluation.limit=3", "evaluation.bootstrap=200", f"store.root={tmp_path / 'store'}",
        f"hydra.sweep.dir={tmp_path / 'sweep'}", "tracking=wandb", "tracking.mode=offline",
    ]  # fmt: skip
    done = cli.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folders = {file.parent for file in (tmp_path / "sweep").rglob("run-*.wandb")}
    assert len(folders) == 4, "two settings on two tasks"
    runs = [wandb_file.run_of(wandb_file.records(folder)) for folder in folders]
    (group,) = {run.run_group for run in runs}
    assert group.startswith("grouped")
    assert len({run.run_id for run in runs}) == 4


def test_online_without_a_key_is_one_line_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    config, _ = config_for(tmp_path, "tracking=wandb")
    with pytest.raises(ConfigError, match="WANDB_API_KEY"), tracked(config, tmp_path / "run"):
        raise AssertionError("the job must not start")


def test_tensorboard_is_rewritten_and_read_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    chosen = ("tracking=tensorboard", f"tracking.folder={tmp_path / 'events'}", "tracking.group=my-sweep")
    for name in ("first", "again"):
        folder = track(tmp_path / name, *chosen)
    (place,) = (tmp_path / "events" / "my-sweep").iterdir()
    events = EventAccumulator(str(place))
    events.Reload()
    result = RunFolder.open(folder).result
    (score,) = events.Scalars("score")
    assert score.value == pytest.approx(result["score"]["value"], abs=1e-6)
    assert [event.step for event in events.Scalars("training/training")] == list(range(1, 91))
    assert "candidates/text_summary" in events.Tags()["tensors"]
    assert not any(GOLD.search(file.read_bytes()) for file in place.iterdir())


def test_a_tracker_that_fails_late_does_not_fail_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "events"
    blocked.write_text("a file where a folder should be")
    folder = track(tmp_path / "run", "tracking=tensorboard", f"tracking.folder={blocked}")
    assert (folder / "result.json").exists()
    assert "tracking: could not be completed" in caplog.text


def test_the_id_is_of_the_job_and_not_of_where_it_runs(tmp_path: Path) -> None:
    def id_of(*overrides: str) -> str:
        return shown.run_id(config_for(tmp_path, *overrides)[0])

    assert id_of() == id_of("tracking=wandb") == id_of("store.lock_timeout_s=5")
    assert len({id_of(), id_of("seed=1"), id_of("temperature.input=0.5")}) == 3


def test_the_main_command_tracks(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    command = [
        "selfguide.main", "task=json", f"task.path={task}", "task.family=generation",
        "method=few_shot_icl", "evaluation.limit=3", "evaluation.bootstrap=200", f"store.root={tmp_path / 'store'}",
        f"hydra.run.dir={tmp_path / 'run'}", "tracking=wandb", "tracking.mode=offline",
    ]  # fmt: skip
    done = cli.run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = wandb_file.records(tmp_path / "run")
    assert wandb_file.summary(found)["counts/train"] == 0
    assert (tmp_path / "run" / "report.html").exists()

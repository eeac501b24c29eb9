"""When a run of a table starts, waits, counts and is taken for finished. Runs are made up."""

import io
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from hydra import initialize_config_dir
from rich.console import Console

from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.figures import is_unequal, row_costs
from selfguide.apps.table.grid import Cell
from selfguide.apps.table.jobs import Job, jobs_of
from selfguide.apps.table.work import Done, finished_runs, work
from selfguide.config.groups import register
from selfguide.core.console import Terminal
from selfguide.core.paths import config_dir
from tests.analysis.folders import write_run

SMALL = {"proposals": 8, "instances": 5}


def worked(job: Job, again: tuple[str, ...] = ()) -> Done:
    [done] = work([job], again, Terminal(Console(file=io.StringIO())), lambda _: None)
    return done


def jobs(folder: Path, *overrides: str) -> list[Job]:
    cell = Cell("row", "g", "micro_color_word", 0, ("task=micro_color_word", "model=micro", *overrides))
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return jobs_of([cell], folder)


def test_a_run_is_ready_when_all_that_it_takes_is_there(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "result.json").touch()
    cell = Cell("row", "g", "t", 0, ())
    assert Job(cell, after=(tmp_path / "one",)).ready
    assert not Job(cell, after=(tmp_path / "one", tmp_path / "other")).ready


def test_what_another_process_has_under_way_is_waited_for(tmp_path: Path) -> None:
    [job] = jobs(tmp_path)
    assert job.folder is not None
    job.folder.parent.mkdir(parents=True)
    made = write_run(tmp_path / "made", **SMALL)
    found: list[Done] = []
    with FileLock(f"{job.folder}.lock"):
        waiting = threading.Thread(target=lambda: found.append(worked(job)), daemon=True)
        waiting.start()
        waiting.join(1)  # time enough to go by without it
        made.rename(job.folder)
    waiting.join(120)
    assert [done.run is not None for done in found] == [True]


def test_a_run_that_fails_when_it_is_run_again_is_not_finished_any_more(tmp_path: Path) -> None:
    [job] = jobs(tmp_path, f"store.root={tmp_path / 'store'}")
    assert job.folder is not None
    write_run(job.folder, **SMALL)
    assert [done.run is not None for done in finished_runs([job])] == [True]
    (tmp_path / "store").write_text("a file is in the way")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        assert worked(job, ("row",)).reason is not None
    assert [done.run for done in finished_runs([job])] == [None]


def test_means_of_costs_that_a_run_does_not_know_are_left_blank(tmp_path: Path) -> None:
    runs = [RunFolder(write_run(tmp_path / str(seed), seed=seed, **SMALL)) for seed in (0, 1)]
    for run, kept in zip(runs, (4, 6), strict=True):
        run.result["costs"] = {"method": {"calls": 30, "teacher_calls": 20, "kept": kept}, "answers": {}}
    assert (row_costs(runs)["kept"], row_costs(runs)["kept_per_1000_calls"]) == (5, 250)
    runs[0].result["costs"]["method"]["kept"] = None
    costs = row_costs(runs)
    assert (costs["calls"], costs["kept"], costs["kept_per_1000_calls"]) == (30, None, None)


@pytest.mark.parametrize(("rows", "unequal"), [(4, True), (0, False)])
def test_a_run_that_trained_on_nothing_needs_no_budget(rows: int, unequal: bool, tmp_path: Path) -> None:
    run = RunFolder(write_run(tmp_path / "run", **SMALL))
    assert run.result.get("budget") is None
    run.result["counts"]["train"] = rows
    assert is_unequal("budget", run, 0.0) is unequal

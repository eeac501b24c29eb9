"""When a run of a table may start, and what its row counts. Runs are made up."""

from pathlib import Path

import pytest
from hydra import initialize_config_dir

from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.figures import is_unequal, row_costs
from selfguide.apps.table.grid import Cell
from selfguide.apps.table.jobs import Job, jobs_of
from selfguide.apps.table.work import Work
from selfguide.config.groups import register
from selfguide.core.paths import config_dir
from tests.analysis.folders import write_run

SMALL = {"proposals": 8, "instances": 5}


def test_a_run_is_ready_when_all_that_it_takes_is_there(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "result.json").touch()
    cell = Cell("row", "g", "t", 0, ())
    assert Job(cell, after=(tmp_path / "one",)).ready
    assert not Job(cell, after=(tmp_path / "one", tmp_path / "other")).ready


def test_a_run_that_is_to_be_run_again_is_not_finished_any_more(tmp_path: Path) -> None:
    """Whatever becomes of it now, its old result is not taken for the new one."""
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        [job] = jobs_of([Cell("row", "g", "micro_color_word", 0, ("task=micro_color_word", "seed=0"))], tmp_path)
    assert job.folder is not None
    write_run(job.folder, **SMALL)
    assert Work([job], ()).next_cell(()) is None and job.finished
    assert Work([job], ("row",)).next_cell(()) == 0 and not job.finished


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

"""The cells of a table on workers: their order, workers that are lost, runs that another process has under way."""

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hydra import initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from rich.console import Console

from selfguide.apps.table.grid import Cell
from selfguide.apps.table.jobs import jobs_of
from selfguide.apps.table.work import Done, Work, work
from selfguide.apps.workers import MAX_LOSSES, Workers
from selfguide.config.groups import register
from selfguide.core.console import Terminal
from selfguide.core.paths import config_dir

TASKS = ("micro_barn_or_garage", "micro_color_word")
ROWS = {"one": ("finetuning.epochs=1",), "two": ("finetuning.epochs=2",), "icl": ("method=few_shot_icl",)}


class Runs(Launcher):
    """Leaves a result in each job's folder, after whatever `before` does."""

    def __init__(self, before: Any = lambda folder: None) -> None:
        self.before, self.ran = before, list[str]()

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Nothing: there are no jobs."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        (overrides,) = job_overrides
        said = {key: value.strip("'") for key, _, value in (override.partition("=") for override in overrides)}
        folder = Path(said["hydra.sweep.dir"]) / said["hydra.sweep.subdir"]
        self.ran.append(folder.name)
        returned = self.before(folder) or {}
        if not returned:
            folder.mkdir(parents=True)
            (folder / "result.json").write_text('{"status": "ok"}')
        return [JobReturn(_return_value=returned, status=JobStatus.COMPLETED)]


def cells(tmp_path: Path) -> Work:
    made = [Cell(row, "g", task, 0, (f"task={task}", "seed=0", *more)) for task in TASKS for row, more in ROWS.items()]
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return Work(jobs_of(made, tmp_path), ())


def done_by(cells: Work, launcher: Launcher, count: int = 3) -> list[Done]:
    workers: Workers[int] = Workers(launcher, OmegaConf.create(), count)
    return work(cells, workers, Terminal(Console(file=io.StringIO())), lambda so_far: None)


def test_one_worker_takes_the_cells_in_their_order_and_two_begin_with_different_tasks(tmp_path: Path) -> None:
    left = cells(tmp_path)
    assert [left.next_cell(()) for _ in range(3)] == [0, 1, 2]
    left = cells(tmp_path)
    assert left.next_cell(()) == 0
    assert left.next_cell({0}) == 3, "of the other task"
    # All share something by now: first few-shot prompting, which shares no training.
    assert left.next_cell({0, 3}) == 2


def test_every_worker_has_a_cell(tmp_path: Path) -> None:
    meeting = threading.Barrier(3, timeout=120)
    assert [one.status for one in done_by(cells(tmp_path), Runs(lambda folder: meeting.wait() and None))] == ["ok"] * 6


def test_a_lost_worker_loses_no_cell(tmp_path: Path) -> None:
    once: set[str] = set()

    def lost(folder: Path) -> None:
        if folder.name not in once:
            once.add(folder.name)
            raise RuntimeError("the worker died")

    launcher = Runs(lost)
    done = done_by(cells(tmp_path), launcher)
    assert [one.status for one in done] == ["ok"] * 6
    assert len(launcher.ran) == 12

    def never(folder: Path) -> None:
        raise RuntimeError("the worker died")

    launcher = Runs(never)
    done = done_by(cells(tmp_path / "again"), launcher)
    assert len(launcher.ran) == 6 * (MAX_LOSSES + 1)
    assert {one.reason for one in done} == {"the worker was lost: RuntimeError: the worker died"}


def test_what_another_process_runs_is_left_to_it(tmp_path: Path) -> None:
    left = cells(tmp_path)
    folder = left.jobs[0].folder
    assert folder is not None
    folder.parent.mkdir(parents=True)
    other, refused = FileLock(f"{folder}.lock", thread_local=False), list[Path]()

    def others(mine: Path) -> Any:
        if len(launcher.ran) == 6:
            other.release()  # the other process was killed
        if mine == left.jobs[1].folder and not refused:  # it was quicker by a moment
            refused.append(mine)
            return {"taken": True}
        return None

    launcher = Runs(others)
    with other:
        done = done_by(left, launcher, count=1)
    assert [one.status for one in done] == ["ok"] * 6
    assert refused and len(launcher.ran) == 7 and launcher.ran[-1] == folder.name


@pytest.mark.parametrize("count", [1, 4])
def test_a_cell_that_fails_is_noted_and_the_others_go_on(tmp_path: Path, count: int) -> None:
    left = cells(tmp_path)
    broken = left.jobs[3].folder
    done = done_by(left, Runs(lambda folder: {"reason": "no room"} if folder == broken else None), count)
    assert [one.status for one in done] == ["ok"] * 3 + ["failed"] + ["ok"] * 2
    assert done[3].reason == "no room"

"""The sweeper on a small application: what it searches, prints, writes and refuses."""

import itertools
import subprocess
import sys
from pathlib import Path

from optuna.trial import TrialState

from tests.sweeper.app import score
from tests.sweeper.apps import environment, jobs, repeated, studies, sweep, trials, winner

GRID = list(itertools.product((0.0, 0.1, 0.2, 0.3), "ab"))


def full_grid(tasks: int = 4, seeds: tuple[int, ...] = (0,)) -> str:
    """The winner when everything is evaluated; of equals the first in the grid."""

    def value(point: tuple[float, str]) -> float:
        return min(sum(score(task, *point, seed) for seed in seeds) / len(seeds) for task in range(tasks))

    x, y = max(GRID, key=lambda point: (value(point), -GRID.index(point)))
    return f"x={x:.5g} y={y}"


def test_grid_with_racing_finds_what_the_full_grid_finds_and_resumes_to_nothing(tmp_path: Path) -> None:
    said = sweep(tmp_path)
    assert winner(said) == full_grid() == "x=0.1 y=a"
    ran = len(jobs(tmp_path))
    assert ran < 32 and not repeated(tmp_path)
    # Without a live table: a line after every trial, with what the table's foot would say.
    feet = [line for line in said.splitlines() if " of 8 trials  best " in line]
    assert [int(line.split()[0]) for line in feet] == list(range(1, 9))
    assert " eta " in feet[0] and "best 0.700" in feet[-1] and f"racing saved {32 - ran} of 32 jobs" in feet[-1]
    found = trials(tmp_path)
    assert [trial.number for trial in found] == list(range(8))
    pruned = [trial for trial in found if trial.state == TrialState.PRUNED]
    assert pruned and all(trial.value is not None and trial.value <= 0.7 for trial in pruned)
    page = (tmp_path / "sweep" / "sweep_report.html").read_text()
    assert "://" not in page and "<script" not in page and "Importance" in page and "(winner)" in page
    assert "| trial | x | y | t0 |" in (tmp_path / "sweep" / "trials.md").read_text()

    before = len(jobs(tmp_path))
    again = sweep(tmp_path)
    assert "going on" in again and winner(again) == "x=0.1 y=a" and len(jobs(tmp_path)) == before


def test_finalists_run_with_further_seeds_and_a_lucky_training_is_not_frozen(tmp_path: Path) -> None:
    for name in ("search", "confirmed"):
        (tmp_path / name).mkdir()
    search = ["lucky=0.3", "result=true", "sweep.seeds=[0]", "y=a"]
    assert winner(sweep(tmp_path / "search", *search)) == "x=0.3"
    confirmed = [*search, "+sweep.confirm={finalists: 2, seeds: [1, 2]}"]
    said = sweep(tmp_path / "confirmed", *confirmed)
    assert winner(said) == "x=0.1" and "confirming with seeds 0, 1, 2: x=0.3; x=0.1" in said
    assert "expect" in said and "from one training" in said
    further = {tuple(job.split()[1:4]) for job in jobs(tmp_path / "confirmed") if job.split()[3] != "0"}
    assert further <= {(x, "a", seed) for x in ("0.1", "0.3") for seed in "12"}
    assert "Finalists, means over the seeds 0, 1, 2:" in (tmp_path / "confirmed/sweep/trials.md").read_text()
    before = len(jobs(tmp_path / "confirmed"))
    again = sweep(tmp_path / "confirmed", *confirmed)
    assert winner(again) == "x=0.1" and len(jobs(tmp_path / "confirmed")) == before


def test_one_seed_says_that_the_luck_of_a_training_is_not_counted(tmp_path: Path) -> None:
    assert "the luck of a training is not counted" in sweep(tmp_path, "result=true", "x=choice(0.0,0.1)", "y=a")


def test_first_setting_seeds_floors_and_the_command_line(tmp_path: Path) -> None:
    search = ["sweep.first=[{x: 0.2, y: a}]", "sweep.seeds=[0,1]", "+sweep.floors.t0=0.75"]
    said = sweep(tmp_path, *search, "x=choice(0.0,0.1,0.2)", "y=a")
    # y is fixed by the command line, x is searched there; the setting that was to be first is first.
    found = trials(tmp_path)
    assert found[0].params == {"x": 0.2}
    assert {job.split()[2] for job in jobs(tmp_path)} == {"a"}
    assert {job.split()[3] for job in jobs(tmp_path)} == {"0", "1"}
    # 0.2 breaks the floor of t0 (0.705), 0.1 does not.
    assert winner(said) == "x=0.1"
    assert found[0].constraints["floor of t0"] > 0


def test_tpe_on_a_finite_space_ends_with_every_setting_tried_once(tmp_path: Path) -> None:
    sweep(tmp_path, "sweep.sampler=tpe", "sweep.trials=50", "sweep.tasks=[t0]")
    assert len(trials(tmp_path)) == 8 and not repeated(tmp_path)


def test_another_space_is_another_study_and_says_so(tmp_path: Path) -> None:
    first = sweep(tmp_path)
    said = sweep(tmp_path, "x=choice(0.3,0.2)", "sweep.racing=off")
    assert "is another study and stays as it is" in said
    assert "space.x: choice(0.0, 0.1, 0.2, 0.3) -> choice(0.3,0.2)" in said
    assert winner(first) == "x=0.1 y=a" and winner(said) == "x=0.2 y=a"
    assert len(studies(tmp_path)) == 2
    # And so is another fixed value.
    assert "jobs.t0.seconds: 0.0 -> 0.01" in sweep(tmp_path, "seconds=0.01", "sweep.trials=1")


def test_a_crash_is_a_failed_trial_with_its_traceback(tmp_path: Path) -> None:
    said = sweep(tmp_path, "crash=true", "crash_at=0.1", "sweep.retries=1")
    failed = [trial for trial in trials(tmp_path) if trial.state == TrialState.FAIL]
    assert [trial.params["x"] for trial in failed] == [0.1, 0.1]
    assert all(trial.value is None for trial in failed)
    error = failed[0].user_attrs["error"]
    assert "ValueError: crash at x=0.1" in error and "tests/sweeper/app.py" in error
    assert winner(said) == "x=0.2 y=a"
    assert "crash at x=0.1" in (tmp_path / "sweep" / "sweep_report.html").read_text()

    # Mended, and asked for: the failed settings are tried again, and win.
    (tmp_path / "log.healed").touch()
    assert winner(sweep(tmp_path, "crash=true", "crash_at=0.1", "sweep.retry_failed=true")) == "x=0.1 y=a"


def test_a_job_that_would_open_the_test_split_does_not_run(tmp_path: Path) -> None:
    """Only the job's own configuration shows it: the key is searched under another name."""
    said = sweep(tmp_path, "+evaluation.split=${y}", "y=choice(test,a)", "x=0.1", "sweep.retries=2")
    assert winner(said) == "y=a" and {job.split()[2] for job in jobs(tmp_path)} == {"a"}
    (failed,) = [trial for trial in trials(tmp_path) if trial.state == TrialState.FAIL]
    assert "evaluation.split: test is not allowed in a sweep" in failed.user_attrs["error"]


def test_too_many_failures_end_the_sweep_in_one_line(tmp_path: Path) -> None:
    said = sweep(tmp_path, "crash=true", "crash_at=0.0", "sweep.max_failures=2", "hydra.verbose=false", expect=1)
    assert "sweep.max_failures: 2 trials failed" in said and "crash at x=0.0" in said
    assert len(trials(tmp_path)) == 2
    # What there is is written all the same.
    assert (tmp_path / "sweep" / "trials.md").read_text().count("| failed |") == 2
    assert "ValueError: crash at x=0.0" in (tmp_path / "sweep" / "sweep_report.html").read_text()


def test_a_mistake_ends_the_sweep_before_the_first_job(tmp_path: Path) -> None:
    assert "sweep.test_tasks: t1 also in sweep.tasks" in sweep(tmp_path, "sweep.test_tasks=[t1]", expect=1)
    assert not jobs(tmp_path)


def test_a_password_reaches_neither_disk_nor_screen(tmp_path: Path) -> None:
    said = sweep(tmp_path, "sweep.storage='postgresql://me:s3cretpw@127.0.0.1:1/db'", expect=1)
    assert "sweep.storage: holds a password" in said
    assert "s3cretpw" not in said
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"s3cretpw" in file.read_bytes()]


def test_discovery_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, runpy, atexit\n"
        "atexit.register(lambda: print('LOADED', sorted(set(sys.modules) & {'optuna', 'torch', 'numpy', 'yaml_'})))\n"
        "sys.argv = ['app', '--help', f'log=x']\n"
        "runpy.run_module('tests.sweeper.app', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=400
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr

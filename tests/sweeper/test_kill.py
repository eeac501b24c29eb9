"""kill -9 of the sweeper and of its workers at arbitrary moments: nothing finished is repeated, nothing is lost."""

import os
import random
import signal
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from tests.sweeper.apps import jobs, pids, repeated, start, sweep, trials, until, winner

SPACE = ["x=choice(0.0,0.1,0.2,0.3)", "y=a", "sweep.tasks=[t0,t1,t2]"]
KILLS = 6


def finished_jobs(folder: Path) -> set[tuple[str, str]]:
    """(setting, job) pairs that the storage holds."""
    found = set()
    for trial in trials(folder):
        for name in trial.user_attrs:
            if name.startswith("job:"):
                found.add((str(trial.params), name))
    return found


@pytest.mark.slow
def test_sweeper_killed_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    calm = sweep(tmp_path / "calm", *SPACE, "sweep.sampler=tpe", "sweep.trials=4")

    hurt = tmp_path / "hurt"
    hurt.mkdir()
    draw = random.Random(0)
    lost = 0
    for _ in range(KILLS):
        before = len(jobs(hurt))
        process = start(hurt, *SPACE, "sweep.sampler=tpe", "sweep.trials=4", "seconds=0.3")
        # Somewhere in a job, or between two.
        until(lambda before=before, process=process: len(jobs(hurt)) > before or process.poll() is not None)  # type: ignore[misc]
        done = process.poll() is not None
        if not done:
            try:
                process.wait(draw.uniform(0, 0.9))
            except Exception:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                lost += 1
        if done:
            break
    kept = finished_jobs(hurt)
    said = sweep(hurt, *SPACE, "sweep.sampler=tpe", "sweep.trials=4", "seconds=0.3")

    assert lost >= 3
    assert winner(said) == winner(calm)
    found = trials(hurt)
    assert [trial.number for trial in found] == list(range(len(found)))
    assert sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in found) == 4
    assert not [trial for trial in found if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    # What the storage held was not run again: at most the job under way at each kill was.
    assert sum(count - 1 for count in repeated(hurt).values()) <= lost
    assert kept <= finished_jobs(hurt)
    # A seeded sampler goes on where it stopped: the same settings in the same order.
    settled = [trial.params for trial in found if trial.state != TrialState.FAIL]
    assert settled == [trial.params for trial in trials(tmp_path / "calm")]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib"])
def test_worker_killed(tmp_path: Path, launcher: str) -> None:
    process = start(tmp_path, *SPACE, f"hydra/launcher={launcher}", "sweep.parallel=2", "seconds=1")
    killed = 0
    for _ in range(2):
        known = pids(tmp_path)
        until(lambda known=known: bool(pids(tmp_path) - known))  # type: ignore[misc]
        victim = max(pids(tmp_path) - known)
        assert victim != process.pid
        if psutil.pid_exists(victim):
            os.kill(victim, signal.SIGKILL)
            killed += 1
    assert process.wait(timeout=200) == 0, (tmp_path / "out").read_text()
    assert killed == 2
    said = (tmp_path / "out").read_text()
    assert "is launched again: the worker was lost" in said
    assert winner(said) == "x=0.1"
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials(tmp_path))


def test_interrupt_gives_the_trial_back(tmp_path: Path) -> None:
    process = start(tmp_path, *SPACE, "seconds=1")
    until(lambda: len(jobs(tmp_path)) > 1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) != 0
    states = [trial.state for trial in trials(tmp_path)]
    assert TrialState.RUNNING not in states and TrialState.WAITING in states
    assert "| waiting |" in (tmp_path / "sweep" / "trials.md").read_text()
    assert (tmp_path / "sweep" / "sweep_report.html").exists()


def test_a_journal_torn_in_the_middle_of_a_line_is_read(tmp_path: Path) -> None:
    sweep(tmp_path, *SPACE, "sweep.trials=2")
    with (tmp_path / "sweep" / "study.log").open("ab") as file:
        file.write(b'{"op_code":8,"worker_id":"')
    assert winner(sweep(tmp_path, *SPACE)) == "x=0.1"
    assert len(trials(tmp_path)) == 4


def test_two_sweepers_share_a_study(tmp_path: Path) -> None:
    shared = ["x=choice(0.0,0.1,0.2,0.3)", "sweep.tasks=[t0,t1]", "seconds=0.2"]
    both = [start(tmp_path, *shared) for _ in range(2)]
    assert [process.wait(timeout=200) for process in both] == [0, 0], (tmp_path / "out").read_text()
    found = [trial for trial in trials(tmp_path) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    settings = [str(trial.params) for trial in found]
    assert len(settings) == len(set(settings)) == 8
    assert len({trial.user_attrs["sweeper"] for trial in found}) == 2
    best = max((t for t in found if t.state == TrialState.COMPLETE), key=lambda t: (t.value or 0, -t.number))
    assert best.value == pytest.approx(0.8)

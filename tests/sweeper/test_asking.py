"""How many settings are asked, launched and given up, with a real study in memory."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.running import Sweep, SweepEnded
from selfguide.apps.sweep.study import StudyLink, origin
from selfguide.apps.sweep.view import View
from selfguide.apps.workers import Workers
from selfguide.search.objective import Objective
from selfguide.search.racing import Trial
from selfguide.search.results import JobResult
from selfguide.search.sampler import LOST, exhausted
from tests.sweeper.in_memory import TableLauncher, plan_for

TASKS = ["a", "b"]
ROWS = [{(task, 0): JobResult(task, 0, score) for task in TASKS} for score in (0.5, 0.7, 0.6, 0.4)]


def plan(folder: Path, floors: dict[str, float] | None = None, **knobs: Any) -> Plan:
    objective = Objective("worst_score", (0,), floors or {})
    return plan_for(4, TASKS, objective, folder, sampler="grid", racing="off", **knobs)


def trial(number: int, setting: int, results: bool = True) -> Trial:
    return Trial(number, number, {"x": setting}, dict(ROWS[setting]) if results else {})


class Crashing(TableLauncher):
    """The first `crashes` launches of each job fail."""

    def __init__(self, crashes: int) -> None:
        super().__init__(ROWS, random.Random(0))
        self.crashes, self.launches = crashes, list[str]()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        (overrides,) = job_overrides
        name = " ".join(sorted(o for o in overrides if o.split("=")[0] in ("x", "task")))
        self.launches.append(name)
        if self.launches.count(name) <= self.crashes:
            return [JobReturn(_return_value=RuntimeError("no memory"), status=JobStatus.FAILED)]
        return super().launch(job_overrides, initial_job_idx)


class Meeting(TableLauncher):
    """A job waits for another one beside it."""

    def __init__(self) -> None:
        super().__init__(ROWS, random.Random(0))
        self.both = threading.Barrier(2)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.both.wait(300)
        return super().launch(job_overrides, initial_job_idx)


def sweep(own: Plan, launcher: Launcher, workers: int = 1) -> StudyLink:
    link = StudyLink(own, InMemoryStorage())
    view = View(own, live=False)
    with link.lease, view:
        Sweep(own, link, Workers(launcher, OmegaConf.create(), workers), view).run()
    return link


def states(link: StudyLink) -> list[str]:
    return [asked.state.name for asked in link.trials()]


@pytest.mark.parametrize(("retries", "state", "launches"), [(0, "FAIL", 1), (1, "FAIL", 2), (2, "COMPLETE", 3)])
def test_a_job_that_crashes_is_launched_again_as_often_as_allowed(
    retries: int, state: str, launches: int, tmp_path: Path
) -> None:
    launcher = Crashing(2)
    link = sweep(plan(tmp_path, trials=1, retries=retries, max_failures=None), launcher)
    assert set(states(link)) == {state}, "a failure is no verdict: another setting is asked in its place"
    assert {launcher.launches.count(name) for name in launcher.launches} == {launches}


@pytest.mark.parametrize("most", [1, 2, 4])
def test_the_sweep_ends_with_the_failure_that_reaches_the_limit(most: int, tmp_path: Path) -> None:
    launcher = Crashing(9)
    with pytest.raises(SweepEnded, match=f"{most} trials failed"):
        sweep(plan(tmp_path, retries=0, max_failures=most), launcher)
    assert len(launcher.launches) == most, "each fails at its first job"


def test_a_worker_that_would_idle_runs_ahead(tmp_path: Path) -> None:
    """Of a lone trial both tasks run at once, though the first may decide it."""
    assert states(sweep(plan(tmp_path, trials=1, retries=0), Meeting(), workers=2)) == ["COMPLETE"]


def test_of_sweepers_that_ask_at_the_same_moment_one_more_than_asked_for_gives_way(tmp_path: Path) -> None:
    own, storage = plan(tmp_path, trials=2), InMemoryStorage()
    one, other = StudyLink(own, storage), StudyLink(own, storage)
    assert one.ask() is not None
    calm, answers = one.study.ask, []

    def interrupted(**given: Any) -> optuna.Trial:
        answers.append(other.ask())
        return calm(**given)

    one.study.ask = interrupted  # type: ignore[method-assign]
    assert one.ask() is None
    assert [answer is not None for answer in answers] == [True]
    assert [LOST in asked.user_attrs for asked in one.trials()] == [False, False, True]
    assert one.ask() is None and other.ask() is None, "two are under way"


def test_a_setting_that_is_asked_again_keeps_its_first_number(tmp_path: Path) -> None:
    link = StudyLink(plan(tmp_path), InMemoryStorage())
    first, second = link.ask(), link.ask()
    assert first is not None and second is not None
    link.release()
    again = [link.ask(), link.ask()]
    assert [(found and found.number, found and found.origin) for found in again] == [(2, 0), (3, 1)]
    assert [origin(asked) for asked in link.trials()] == [0, 1, 0, 1]
    assert [found and found.setting for found in again] == [first.setting, second.setting]


def test_the_study_knows_by_how_much_a_floor_was_broken(tmp_path: Path) -> None:
    """What constrained samplers learn from; positive is broken."""
    link = StudyLink(plan(tmp_path, floors={"a": 0.55}), InMemoryStorage())
    for number in range(2):
        found = link.ask()
        assert found is not None
        link.settle(trial(number, int(found.setting["x"])), TrialState.COMPLETE)
    values = [asked.constraints for asked in link.trials()]
    assert values == [{"floor of a": pytest.approx(0.05)}, {"floor of a": pytest.approx(-0.15)}]


def test_a_finite_space_is_not_exhausted_while_a_setting_waits(tmp_path: Path) -> None:
    own = plan(tmp_path)
    link, points = StudyLink(own, InMemoryStorage()), own.space.points()
    found = [link.ask() for _ in range(4)]
    assert all(one is not None for one in found) and link.ask() is None
    assert exhausted(link.trials(), points) and not exhausted(link.trials(), None)
    link.study.enqueue_trial({"x": 1})
    assert not exhausted(link.trials(), points)


def test_results_of_a_setting_are_known_to_all_its_trials(tmp_path: Path) -> None:
    link = StudyLink(plan(tmp_path), InMemoryStorage())
    found = link.ask()
    assert found is not None
    link.save(0, ROWS[0]["a", 0])
    link.release()
    again = link.ask()
    assert again is not None and again.results == {("a", 0): ROWS[0]["a", 0]}

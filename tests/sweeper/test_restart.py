"""Sweeps in this process, on a launcher that fails when told: lost workers, lost sweepers, trials taken over."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.trial import TrialState

from selfguide.apps.sweep import running as _run
from selfguide.apps.sweep.finish import finish
from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.running import Sweep
from selfguide.apps.sweep.storage import open_storage
from selfguide.apps.sweep.study import StudyLink
from selfguide.apps.sweep.view import View
from selfguide.apps.workers import Workers
from selfguide.search.results import JobResult
from tests.sweeper.app import score
from tests.sweeper.test_plan import plan

SPACE = ("x=choice(0.0,0.1,0.2)", "y=a")


class FlakyLauncher(Launcher):
    """Scores settings as the small application does; while `dead`, jobs at x=0.1 lose their worker."""

    def __init__(self) -> None:
        self.dead = False
        self.launched: list[str] = []

    def setup(self, **_: Any) -> None: ...

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        (overrides,) = job_overrides
        values = dict(override.split("=", 1) for override in overrides)
        self.launched.append(f"{values['task']} {values['x']}")
        if self.dead and values["x"] == "0.1":
            raise RuntimeError("A worker process managed by the executor was unexpectedly terminated")
        found = score(int(values["task"][1]), float(values["x"]), values["y"], int(values["seed"]))
        result = JobResult(values["task"], int(values["seed"]), found)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=result.to_json())]


def sweeper(tmp_path: Path, *overrides: str, space: tuple[str, ...] = SPACE) -> tuple[Plan, StudyLink]:
    own = plan("sweep.tasks=[t0,t2]", "sweep.racing=off", f"hydra.sweep.dir={tmp_path}", *overrides, arguments=space)
    return own, StudyLink(own, open_storage(own.knobs.storage, tmp_path, "symlink"))


def run(own: Plan, link: StudyLink, launcher: FlakyLauncher) -> Sweep:
    workers = Workers(launcher, OmegaConf.create(), 2)
    sweep = Sweep(own, link, workers, View(own, live=False))
    with link.lease:
        sweep.run()
    return sweep


def states(link: StudyLink) -> dict[float, str]:
    return {trial.params["x"]: trial.state.name for trial in link.trials() if trial.params}


def test_lost_workers_are_not_the_settings_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "MAX_LOSSES", 3)
    launcher = FlakyLauncher()
    launcher.dead = True
    run(*sweeper(tmp_path), launcher)
    own, link = sweeper(tmp_path)
    assert states(link)[0.1] == "FAIL"
    # Not charged as a crash, of which this sweep forgives none; but not for ever either.
    assert max(launcher.launched.count(f"{task} 0.1") for task in ("t0", "t2")) == 4
    launcher.dead = False
    run(own, link, launcher)
    assert states(link)[0.1] == "COMPLETE" and len(link.trials()) == 4
    assert max(trial.value for trial in link.trials() if trial.state == TrialState.COMPLETE) == 0.8


@pytest.mark.parametrize("asked_with", [None, {"x": 0.1, "y": "b"}])
def test_killed_between_the_keys_of_a_setting(tmp_path: Path, asked_with: dict[str, Any] | None) -> None:
    both = ("x=choice(0.0,0.1)", "y=choice(a,b)")
    own, link = sweeper(tmp_path, space=both)
    if asked_with is not None:
        link.study.enqueue_trial(asked_with)
    storage = link.study._storage
    number = link.study._pop_waiting_trial_id()
    if number is None:
        number = storage.create_new_trial(link.study._study_id)
    storage.set_trial_param(number, "x", 0.1, own.space.distributions["x"])
    # What an earlier version made of it.
    link.study.enqueue_trial({"x": 0.1})
    run(*sweeper(tmp_path, space=both), FlakyLauncher())
    found = [trial for trial in link.trials() if trial.state == TrialState.COMPLETE]
    assert sorted((trial.params["x"], trial.params["y"]) for trial in found) == [
        (0.0, "a"), (0.0, "b"), (0.1, "a"), (0.1, "b")
    ]  # fmt: skip
    again = [trial.params for trial in found if "origin" in trial.user_attrs]
    assert again == ([] if asked_with is None else [asked_with])


def entry(link: StudyLink, name: str, said: float) -> None:
    """Another host's sweeper, as its lease shows it here."""
    known = {"host": "elsewhere", "pid": 1, "started": "0", "said": said, "working": True}
    link.study.set_user_attr(f"sweeper:{name}", known)


def test_a_restart_on_another_host_waits_for_the_lease_of_the_dead(tmp_path: Path) -> None:
    _, dead = sweeper(tmp_path)
    last_word = time.time()
    entry(dead, "dead", last_word)
    asked = dead.study.ask(fixed_distributions=dead.plan.space.distributions)
    asked.set_user_attr("sweeper", "dead")
    own, link = sweeper(tmp_path, "sweep.lease_s=2")
    run(own, link, FlakyLauncher())
    assert time.time() - last_word >= 2
    assert states(link) == dict.fromkeys((0.0, 0.1, 0.2), "COMPLETE")
    assert finish(own, link, View(own, live=False)) == 0.8
    assert "(winner)" in (tmp_path / "trials.md").read_text()


def test_no_winner_is_named_while_a_trial_runs(tmp_path: Path) -> None:
    own, link = sweeper(tmp_path, "sweep.trials=1")
    run(own, link, FlakyLauncher())
    entry(link, "other", time.time())
    link.study.ask(fixed_distributions=own.space.distributions).set_user_attr("sweeper", "other")
    assert finish(own, link, View(own, live=False)) is None
    assert "winner" not in (tmp_path / "trials.md").read_text()


def test_a_trial_that_another_sweeper_took_over_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, link = sweeper(tmp_path)
    launcher = FlakyLauncher()
    calm = launcher.launch

    def launch(*given: Any, **named: Any) -> Sequence[JobReturn]:
        if len(launcher.launched) == 1:
            for trial in link.trials():
                if trial.state == TrialState.RUNNING:
                    StudyLink(own, link.study._storage).give_up(trial, "its sweeper died")
        return calm(*given, **named)

    launcher.launch = launch  # type: ignore[method-assign]
    run(own, link, launcher)
    assert "another sweeper took over its setting" in capsys.readouterr().out
    kept = {trial.params["x"]: trial.state for trial in link.trials() if trial.state != TrialState.FAIL}
    assert kept == dict.fromkeys((0.0, 0.1, 0.2), TrialState.COMPLETE)


def test_the_lease_outlives_an_error_of_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, link = sweeper(tmp_path, "sweep.lease_s=1")
    storage = link.study._storage
    calm, said, often = storage.set_study_user_attr, [], threading.Event()

    def torn(*given: Any) -> None:
        said.append(given)
        if len(said) == 2:
            raise ConnectionError("the database restarts")
        calm(*given)
        if len(said) == 4:
            often.set()

    monkeypatch.setattr(storage, "set_study_user_attr", torn)
    with link.lease:
        assert often.wait(60), "renewed again and again"

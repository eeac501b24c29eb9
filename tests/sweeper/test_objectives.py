"""Objectives and races that need what a run leaves: baselines, scores per instance, the state of its dataset."""

from collections.abc import Callable
from pathlib import Path

from optuna.trial import TrialState

from selfguide.apps.sweep.study import results_of
from tests.sweeper.app import baseline, score
from tests.sweeper.apps import sweep, trials, winner

XS = (0.0, 0.1, 0.2, 0.3)
SEARCH = ["result=true", "y=a", "x=choice(0.0,0.1,0.2,0.3)", "sweep.tasks=[t0,t1,t2]"]


def best(value: Callable[[int, float], float]) -> str:
    return f"x={max(XS, key=lambda x: (min(value(task, x) for task in range(3)), -x)):.5g}"


def test_worst_gain_and_an_empty_dataset(tmp_path: Path) -> None:
    """A setting that gave no training data scores as the base model: a gain of 0, and no failure."""
    said = sweep(tmp_path, *SEARCH, "sweep.objective=worst_gain", "sweep.racing=off", "empty_at=0.1")

    def gain(task: int, x: float) -> float:
        return 0.0 if x == 0.1 else score(task, x, "a", 0) - baseline(task)

    assert winner(said) == best(gain) == "x=0"
    assert best(lambda task, x: score(task, x, "a", 0)) == "x=0.1", "the score alone says otherwise"
    assert "t0 seed 0: 0.750 (few-shot 0.750)" in said and "empty_dataset" in said
    (empty,) = [trial for trial in trials(tmp_path) if trial.params["x"] == 0.1]
    assert empty.state == TrialState.COMPLETE and empty.value == 0
    assert {result.status for result in results_of(empty).values()} == {"empty_dataset"}


def pruned(folder: Path) -> list[float]:
    return [trial.params["x"] for trial in trials(folder) if trial.state == TrialState.PRUNED]


def test_the_lower_bound(tmp_path: Path) -> None:
    said = sweep(tmp_path, *SEARCH, "sweep.objective=lcb")
    assert winner(said) == "x=0.1" and "selection optimism" in said
    assert pruned(tmp_path) == [0.2, 0.3]
    found = trials(tmp_path)[1]
    assert found.value is not None and 0.6 < found.value < 0.8, "below the minimum, which is 0.8"


def test_the_noise_aware_race(tmp_path: Path) -> None:
    """0.2 has a minimum of 0.7 against 0.8, which 100 instances do not tell apart; 0.3 has 0.6."""
    assert winner(sweep(tmp_path, *SEARCH, "sweep.racing=noise_aware")) == "x=0.1"
    assert pruned(tmp_path) == [0.3]

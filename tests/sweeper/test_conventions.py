"""The keys of Hydra's Optuna sweeper, Optuna's classes by `_target_`, budgets, and what a study can be read with."""

import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from selfguide.apps.sweep.storage import open_storage
from selfguide.apps.sweep.study import StudyLink
from selfguide.search.objective import Objective
from selfguide.search.results import JobResult
from tests.search.tables import Table
from tests.sweeper.apps import jobs, studies, sweep, trials, winner
from tests.sweeper.in_memory import plan_for, run

QMC = "{_target_: optuna.samplers.QMCSampler, scramble: true}"


def searched(tmp_path: Path, settings: int = 6, **knobs: Any) -> StudyLink:
    """Two tasks; setting x scores x/10 on the first and 0.9 - x/10 on the second."""
    rows: Table = [
        {("a", 0): JobResult("a", 0, x / 10, tokens=50), ("b", 0): JobResult("b", 0, 0.9 - x / 10, tokens=50)}
        for x in range(settings)
    ]
    plan = plan_for(settings, ["a", "b"], Objective("worst_score", (0,), {}), tmp_path, **knobs)
    return run(plan, rows, 1, random.Random(0))[0]


def test_hydras_own_keys(tmp_path: Path) -> None:
    said = sweep(
        tmp_path, "hydra.sweeper.n_trials=3", "hydra.sweeper.study_name=mine", "hydra.sweeper.direction=maximize",
        "hydra.sweeper.params={x: 'interval(0.0, 0.4)'}", "hydra.sweeper.storage=other.log", "sweep.space.y=choice(a)",
        f"hydra.sweeper.sampler={QMC}",
    )  # fmt: skip
    assert winner(said) and "3 of 3 trials" in said
    assert (tmp_path / "other.log").exists() and not (tmp_path / "sweep" / "study.log").exists()
    storage = open_storage(str(tmp_path / "other.log"), tmp_path, "symlink")
    [study] = optuna.get_all_study_summaries(storage)
    assert study.study_name.startswith("mine-")
    asked = optuna.load_study(study_name=study.study_name, storage=storage).get_trials()
    assert len({trial.params["x"] for trial in asked} - {0.0, 0.1, 0.2, 0.3}) >= 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.direction=minimize", "hydra.sweeper.direction: minimize is not allowed; allowed: maximize"),
        ("sweep.sampler=annealing", "sweep.sampler: annealing is not allowed; allowed: tpe | random"),
        ("hydra.sweeper.sampler={_target_: os.getcwd}", "sweep.sampler._target_: os.getcwd: "),
        ("hydra.sweeper.sampler={_target_: optuna.samplers.TPESampler, sed: 1}", "unexpected keyword argument 'sed'"),
        ("+sweep.pruner={_target_: optuna.samplers.TPESampler}", "sweep.pruner._target_: optuna.samplers.TPESampler"),
        ("+sweep.warm_start={study: s, storage: none.log, best: 2}", "sweep.warm_start.study: s is not in none.log"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, override: str, message: str) -> None:
    assert message in sweep(tmp_path, override, expect=1)
    assert not jobs(tmp_path)


@pytest.mark.parametrize("sampler", ["NSGAIISampler", "QMCSampler", "RandomSampler", "TPESampler"])
def test_any_sampler_of_optunas_goes_through_a_finite_space(tmp_path: Path, sampler: str) -> None:
    link = searched(tmp_path, sampler={"_target_": f"optuna.samplers.{sampler}"}, racing="off")
    assert sorted(trial.params["x"] for trial in link.trials()) == list(range(6))


def test_a_jobs_score_is_an_intermediate_value(tmp_path: Path) -> None:
    link = searched(tmp_path)
    for trial in link.trials():
        x = trial.params["x"]
        scores = {0: x / 10, 1: 0.9 - x / 10}
        known = {step: value for step, value in trial.intermediate_values.items() if step < 2}
        assert known and all(value == pytest.approx(scores[step]) for step, value in known.items())
        assert trial.value == pytest.approx(min(known.values()))
        assert (len(known) == 2) == (trial.state == TrialState.COMPLETE)


def test_a_pruner_stops_a_trial_by_the_scores_of_its_jobs(tmp_path: Path) -> None:
    low = {"_target_": "optuna.pruners.ThresholdPruner", "lower": 0.25}
    link = searched(tmp_path, sampler="grid", racing="off", pruner=low)
    states = {trial.params["x"]: trial.state == TrialState.PRUNED for trial in link.trials()}
    assert states == {0: True, 1: True, 2: True, 3: False, 4: False, 5: False}


def test_budgets_of_tokens_and_time_end_the_asking(tmp_path: Path) -> None:
    assert len(searched(tmp_path, racing="off", max_tokens=250).trials()) == 3, "100 each"
    assert not searched(tmp_path, timeout_s=1e-9).trials()


def test_a_study_starts_from_the_best_settings_of_another(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    sweep(tmp_path / "first", "sweep.racing=off")
    [study] = studies(tmp_path / "first")
    best = sorted((t for t in study.get_trials()), key=lambda t: (-(t.value or 0), t.number))[:2]
    warm = f"{{study: {study.study_name}, storage: {tmp_path / 'first' / 'sweep' / 'study.log'}, best: 2}}"
    sweep(
        tmp_path / "second", "sweep.sampler=random", "sweep.trials=3", f"+sweep.warm_start={warm}", "sweep.name=other"
    )
    assert [trial.params for trial in trials(tmp_path / "second")][:2] == [trial.params for trial in best]

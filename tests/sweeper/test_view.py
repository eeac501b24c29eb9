"""What a sweep shows while it runs: lines without a terminal, a live table on one."""

import random
from pathlib import Path

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from selfguide.apps.sweep.study import StudyLink
from selfguide.apps.sweep.view import View, row_of
from selfguide.search.objective import Objective
from selfguide.search.racing import Job, Race
from selfguide.search.results import JobResult
from tests.sweeper.in_memory import plan_for, run

TASKS = ["easy", "hard"]
OBJECTIVE = Objective("worst_score", (0,), {})
# Setting 0 reaches 0.5, 1 is pruned by its first job, 2 wins with 0.6.
ROWS = [
    {(task, 0): JobResult(task, 0, score, baseline=0.1) for task, score in zip(TASKS, scores, strict=True)}
    for scores in ((0.9, 0.5), (0.8, 0.3), (0.7, 0.6))
]


def test_a_line_after_every_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_for(len(ROWS), TASKS, OBJECTIVE, tmp_path)
    link, _ = run(plan, ROWS, 1, random.Random(0))
    said = capsys.readouterr().out.splitlines()
    assert "trial 0  hard seed 0: 0.500 (few-shot 0.100)  running minimum 0.500" in said
    assert "trial 0  finished with minimum 0.500  x=0" in said
    assert "trial 1  pruned with minimum 0.300: 1 of 2 jobs not needed" in said
    after = {
        line: said[place + 1] for place, line in enumerate(said[:-1]) if "  finished " in line or " pruned " in line
    }
    assert len(after) == 3
    first, second, third = after.values()
    assert first.startswith("1 of 3 trials  best 0.500  racing saved 0 of 2 jobs (0%)  eta ")
    assert second.startswith("2 of 3 trials  best 0.500  racing saved 1 of 4 jobs (25%)  eta ")
    assert third == "3 of 3 trials  best 0.600  racing saved 1 of 6 jobs (17%)"
    assert [row_of(plan, trial) for trial in link.trials()] == [
        ["0", "0", "0.900", "0.500", "0.500", "finished"],
        ["1", "1", "", "0.300", "0.300", "pruned"],
        ["2", "2", "0.700", "0.600", "0.600", "finished"],
    ]


def test_the_live_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    plan = plan_for(len(ROWS), TASKS, OBJECTIVE, tmp_path)
    link = StudyLink(plan, InMemoryStorage())
    race = Race(TASKS, OBJECTIVE, "exact")
    with link.lease, View(plan, live=True) as view:
        trial = link.ask()
        assert trial is not None
        race.enter(trial)
        for cell, result in ROWS[0].items():
            view.started(trial, Job(trial.number, *cell))
            trial.results[cell] = result
            link.save(trial.number, result)
            view.ended(trial, result)
            view.update(link.trials(), race)
        link.settle(trial, TrialState.COMPLETE)
        race.challenge(trial.results, trial.origin)
        view.settled(trial, race, link.trials())
        view.update(link.trials(), race)
    said = capsys.readouterr().out
    for word in (plan.study, "minimum", "running", "finished", "0.900", "1 of 3 trials  best 0.500", "eta"):
        assert word in said, word
    assert "running minimum" not in said, "a table, no lines"

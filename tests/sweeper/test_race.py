"""The sweeper itself, against the full evaluation of random score tables."""

import random
from pathlib import Path

import pytest

from selfguide.apps.sweep.finish import summarise
from selfguide.search.objective import Kind, Objective
from selfguide.search.results import JobResult
from tests.search.tables import table
from tests.sweeper.in_memory import plan_for, run

TABLES = 50


@pytest.mark.parametrize("kind", ["worst_score", "worst_gain", "lcb"])
def test_the_winner_is_that_of_the_full_grid(tmp_path: Path, kind: Kind) -> None:
    """Serial and parallel, asked in the grid's order or at random, with seeds and floors."""
    ran = full = 0
    for number in range(TABLES):
        draw = random.Random(f"{kind} {number}")
        tasks = [f"t{place}" for place in range(draw.randint(1, 5))]
        seeds = tuple(range(draw.randint(1, 2)))
        rows = table(draw, draw.randint(1, 8), tasks, seeds, 4)  # few instances: many ties
        floors = {draw.choice(tasks): draw.choice([0.2, "baseline"])} if draw.random() < 0.3 else {}
        objective = Objective(kind, seeds, floors, resamples=100)
        sampler = draw.choice(["grid", "random"])
        plan = plan_for(len(rows), tasks, objective, tmp_path, sampler=sampler, seed=number, floors=floors)
        link, jobs = run(plan, rows, draw.choice([1, 4]), draw)
        summary = summarise(plan, link)
        asked = [int(row.setting["x"]) for row in summary.rows]
        assert sorted(asked) == list(range(len(rows)))
        # Of equals, the one asked first.
        best = max(
            (x for x in asked if objective.admissible(rows[x])),
            key=lambda x: (objective.value(rows[x], tasks), -asked.index(x)),
            default=None,
        )
        assert (summary.winner and summary.winner.setting["x"]) == best, f"table {number}"
        saved = summary.racing_savings
        assert (saved.ran, saved.full) == (jobs, len(rows) * len(tasks) * len(seeds))
        ran, full = ran + jobs, full + saved.full
    assert ran < 0.85 * full


NAN = float("nan")


@pytest.mark.parametrize("racing", ["exact", "off"])
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([JobResult("a", 0, 0.9), JobResult("b", 0, NAN)], "the score is nan; allowed: 0 to 1"),
        ([JobResult("a", 0, 90.0), JobResult("b", 0, 80.0)], "the score is 90.0; allowed: 0 to 1"),
        ([JobResult("a", 0, 0.9, baseline=NAN), JobResult("b", 0, 0.9)], "the baseline is nan"),
        ([JobResult("a", 0, 0.9, scores=(1.0, NAN)), JobResult("b", 0, 0.9)], "the score of an instance is nan"),
    ],
)
def test_a_score_that_is_none_fails_its_trial_in_one_line(
    tmp_path: Path, broken: list[JobResult], message: str, racing: str
) -> None:
    sound = [{("a", 0): JobResult("a", 0, score), ("b", 0): JobResult("b", 0, score)} for score in (0.5, 0.7)]
    rows = [sound[0], {result.cell: result for result in broken}, sound[1]]
    plan = plan_for(3, ["a", "b"], Objective("worst_score", (0,), {}), tmp_path, racing=racing, retries=2)
    link, _ = run(plan, rows, 1, random.Random(0))
    summary = summarise(plan, link)
    assert [row.state for row in summary.rows] == ["finished", "failed", "finished"]
    error = summary.rows[1].error
    assert error is not None and message in error and "\n" not in error
    assert summary.winner is not None and summary.winner.setting == {"x": 2}

"""The sweeper itself, against the full evaluation of random score tables."""

import random
from pathlib import Path

import pytest

from selfguide.apps.sweep.finish import summarise
from selfguide.search.objective import Kind, Objective
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

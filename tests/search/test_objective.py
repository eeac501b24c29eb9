"""Values only fall as jobs come in; floors and missing seeds count as documented."""

import itertools
import random

import numpy as np
import pytest

from selfguide.core.errors import ConfigError
from selfguide.search.objective import Kind, Objective, draws
from selfguide.search.results import JobResult
from tests.search.tables import table


@pytest.mark.parametrize("kind", ["worst_score", "worst_gain", "lcb"])
def test_value_never_rises(kind: Kind) -> None:
    for number in range(100):
        draw = random.Random(number)
        (row,) = table(draw, 1, ["a", "b", "c"], (0, 1, 2), 7)
        objective = Objective(kind, (0, 1, 2), {}, resamples=100)
        cells = list(row)
        draw.shuffle(cells)
        known: dict[tuple[str, int], JobResult] = {}
        before = objective.value(known, ["a", "b", "c"])
        for cell in cells:
            known[cell] = row[cell]
            value = objective.value(known, ["a", "b", "c"])
            assert value <= before
            before = value


def test_mean_over_seeds_then_minimum_over_tasks() -> None:
    jobs = [JobResult("a", 0, 0.2, 0.1), JobResult("a", 1, 0.6, 0.1), JobResult("b", 0, 0.5, 0.45)]
    results = {result.cell: result for result in jobs}
    assert Objective("worst_score", (0, 1), {}).value(results, ["a", "b"]) == pytest.approx(0.4)
    results["b", 1] = JobResult("b", 1, 0.5, 0.45)
    assert Objective("worst_gain", (0, 1), {}).value(results, ["a", "b"]) == pytest.approx(0.05)


def test_floors_by_number_and_by_name() -> None:
    results = {("a", 0): JobResult("a", 0, 0.4, 0.5, floors={"majority_class": 0.3})}
    assert Objective("worst_score", (0,), {"a": "majority_class"}).admissible(results)
    assert not Objective("worst_score", (0,), {"a": "baseline"}).admissible(results)
    assert Objective("worst_score", (0,), {"a": 0.45}).violations(results) == {"a": pytest.approx(0.05)}
    with pytest.raises(ConfigError, match="majority_class, baseline"):
        Objective("worst_score", (0,), {"a": "magic"}).admissible(results)


def test_what_needs_more_than_a_number_says_so() -> None:
    plain = {("a", 0): JobResult("a", 0, 0.4)}
    with pytest.raises(ConfigError, match="baseline"):
        Objective("worst_gain", (0,), {}).value(plain, ["a"])
    with pytest.raises(ConfigError, match="per instance"):
        Objective("lcb", (0,), {}).value(plain, ["a"])


def test_a_named_floor_is_the_highest_over_the_seeds() -> None:
    """Like every bound it must not ease while seeds come in."""
    jobs = [JobResult("a", seed, 0.5, baseline) for seed, baseline in ((0, 0.6), (1, 0.2))]
    objective = Objective("worst_score", (0, 1), {"a": "baseline"})
    assert objective.violations({job.cell: job for job in jobs}) == {"a": pytest.approx(0.1)}
    assert objective.violations({jobs[1].cell: jobs[1]}) == {"a": pytest.approx(0.2 - 0.75)}, (
        "the other seed counts as 1"
    )


def test_exactly_the_floor_is_admissible() -> None:
    results = {("a", 0): JobResult("a", 0, 0.5)}
    assert [Objective("worst_score", (0,), {"a": floor}).admissible(results) for floor in (0.5, 0.51)] == [True, False]


def test_the_lower_bound_is_the_quantile_of_the_resampled_minimum() -> None:
    """Against the bootstrap written out; a missing seed counts as the best score, a task not begun not at all."""
    rng, count = np.random.default_rng(0), 30
    jobs = [
        JobResult(task, seed, 0.0, scores=tuple(rng.random(count)), baselines=tuple(rng.random(count)))
        for task in ("a", "b") for seed in (0, 1)
    ]  # fmt: skip
    for kind, complete in itertools.product(("lcb", "worst_gain"), (True, False)):
        known = jobs if complete else jobs[:3]
        minima = np.full(200, np.inf)
        for task in ("a", "b"):
            total = np.zeros(200)
            for seed in (0, 1):
                own = [job for job in known if job.cell == (task, seed)]
                if not own:
                    total += 1
                    continue
                values = np.array(own[0].scores) - (np.array(own[0].baselines) if kind == "worst_gain" else 0)
                total += values[draws(task, count, 200)].mean(axis=1)
            minima = np.minimum(minima, total / 2)
        objective = Objective(kind, (0, 1), {}, confidence=0.9, resamples=200)  # type: ignore[arg-type]
        results = {job.cell: job for job in known}
        for probability in (0.1, 0.5, 0.9):
            expected = np.sort(minima)[int(np.floor(probability * 199))]
            assert objective.quantile(results, ["a", "b", "never begun"], probability) == pytest.approx(expected)
        if kind == "lcb":
            assert objective.value(results, ["a", "b"]) == objective.quantile(results, ["a", "b"], 1 - 0.9)
    assert objective.value({}, ["a"]) == objective.quantile({}, ["a"], 0.5) == float("inf")

"""Values only fall as jobs come in; floors and missing seeds count as documented."""

import random

import pytest

from selfguide.core.errors import ConfigError
from selfguide.search.objective import Kind, Objective
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

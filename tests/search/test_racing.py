"""Racing never changes the winner: against the full evaluation of random score tables."""

import random

import pytest

from selfguide.search.objective import Objective
from selfguide.search.racing import Race, Trial, savings
from selfguide.search.results import JobResult
from tests.search.tables import full_winner, race_over, table

TABLES = 1000


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("kind", ["worst_score", "worst_gain"])
def test_exact_racing_never_changes_the_winner(kind: str, workers: int) -> None:
    saved = full = 0
    for number in range(TABLES):
        draw = random.Random(f"{kind} {workers} {number}")
        tasks = [f"t{place}" for place in range(draw.randint(1, 6))]
        seeds = tuple(range(draw.randint(1, 3)))
        rows = table(draw, draw.randint(1, 12), tasks, seeds, 10)
        floors = {draw.choice(tasks): draw.choice([0.2, "baseline"])} if draw.random() < 0.3 else {}
        objective = Objective(kind, seeds, floors)  # type: ignore[arg-type]
        winner, ran = race_over(rows, tasks, objective, "exact", workers, draw)
        assert winner == full_winner(rows, tasks, objective), f"table {number}"
        full += len(rows) * len(tasks) * len(seeds)
        saved += len(rows) * len(tasks) * len(seeds) - ran
    assert saved > 0.2 * full


@pytest.mark.parametrize("workers", [1, 3])
def test_exact_racing_is_exact_for_the_confidence_bound_too(workers: int) -> None:
    for number in range(150):
        draw = random.Random(f"lcb {workers} {number}")
        tasks = [f"t{place}" for place in range(draw.randint(1, 4))]
        rows = table(draw, draw.randint(2, 8), tasks, (0, 1), 12)
        objective = Objective("lcb", (0, 1), {}, resamples=100)
        winner, _ = race_over(rows, tasks, objective, "exact", workers, draw)
        assert winner == full_winner(rows, tasks, objective), f"table {number}"


def test_noise_aware_racing_stops_less_and_keeps_the_winner() -> None:
    ran = {"exact": 0, "noise_aware": 0, "off": 0}
    for number in range(60):
        tasks = ["a", "b", "c", "d"]
        rows = table(random.Random(number), 10, tasks, (0,), 60)
        objective = Objective("worst_score", (0,), {}, resamples=200)
        for racing in ran:
            winner, count = race_over(rows, tasks, objective, racing, 1, random.Random(1))
            ran[racing] += count
            assert winner == full_winner(rows, tasks, objective)
    assert ran["exact"] < ran["noise_aware"] < ran["off"] == 60 * 40


def test_saves_as_much_as_expected_on_many_tasks() -> None:
    """11 tasks x 60 settings, as in the design: well under half of the jobs."""
    tasks = [f"t{place}" for place in range(11)]
    draw = random.Random(0)
    rows = table(draw, 60, tasks, (0,), 100)
    objective = Objective("worst_score", (0,), {})
    winner, ran = race_over(rows, tasks, objective, "exact", 1, draw)
    assert winner == full_winner(rows, tasks, objective)
    assert ran < 0.4 * 660


def test_hard_tasks_come_first() -> None:
    race = Race(["easy", "hard", "unknown"], Objective("worst_score", (0,), {}), "exact")
    race.observe({("easy", 0): JobResult("easy", 0, 0.9), ("hard", 0): JobResult("hard", 0, 0.2)})
    assert race.order() == ["hard", "easy", "unknown"]


def test_of_equals_the_first_asked_wins_whoever_finishes_first() -> None:
    race = Race(["a", "b"], Objective("worst_score", (0,), {}), "exact")
    race.challenge({(task, 0): JobResult(task, 0, 0.5) for task in ("a", "b")}, origin=3)
    early, late = Trial(2, 2, {}), Trial(4, 4, {})
    for trial in (early, late):
        trial.results["a", 0] = JobResult("a", 0, 0.5)
    assert not race.hopeless(early)
    assert race.hopeless(late)


def flat(score: float, count: int = 4, task: str = "a") -> JobResult:
    """A job whose instances all have one score: every resample is that score."""
    return JobResult(task, 0, score, scores=(score,) * count)


def test_of_equal_values_the_incumbent_is_the_one_asked_first() -> None:
    race = Race(["a"], Objective("worst_score", (0,), {}), "exact")
    origins = []
    for origin, score in ((3, 0.5), (5, 0.5), (1, 0.5), (0, 0.4), (7, 0.6)):
        race.challenge({("a", 0): flat(score)}, origin)
        assert race.incumbent is not None
        origins.append(race.incumbent.origin)
    assert origins == [3, 3, 1, 1, 7]


def test_what_breaks_a_floor_is_stopped_and_never_the_incumbent() -> None:
    race = Race(["a", "b"], Objective("worst_score", (0,), {"a": 0.5}), "exact")
    broken, sound = Trial(0, 0, {}), Trial(1, 1, {})
    broken.results["a", 0], sound.results["a", 0] = flat(0.49), flat(0.5)
    assert race.hopeless(broken), "though nothing else is known yet"
    assert not race.hopeless(sound)
    race.challenge({("a", 0): flat(0.4), ("b", 0): flat(0.9, task="b")}, 0)
    assert race.incumbent is None
    race.challenge({("a", 0): flat(0.5), ("b", 0): flat(0.9, task="b")}, 2)
    assert race.incumbent is not None and race.incumbent.value == 0.5


def test_a_noise_aware_race_compares_bounds() -> None:
    """The incumbent's lower bound with the trial's upper one; at the same place the trial cannot be better."""
    objective = Objective("worst_score", (0,), {}, confidence=0.9, resamples=400)
    race = Race(["a"], objective, "noise_aware")
    noisy = {("a", 0): JobResult("a", 0, 0.5, scores=(0.0, 1.0) * 20)}
    race.challenge(noisy, 0)
    assert race.incumbent is not None
    low = race.incumbent.low
    assert low == objective.quantile(noisy, ["a"], 0.1) and 0.35 < low < 0.45 < race.incumbent.value
    trials = []
    for score in (low - 0.01, low, low + 0.01):
        trial = Trial(1, 1, {})
        trial.results["a", 0] = flat(score)
        trials.append(race.hopeless(trial))
    assert trials == [True, True, False]


def test_without_racing_nothing_is_stopped() -> None:
    race = Race(["a", "b"], Objective("worst_score", (0,), {"a": 0.5}), "off")
    race.challenge({(task, 0): flat(0.9, task=task) for task in ("a", "b")}, 0)
    trial = Trial(1, 1, {})
    assert not race.hopeless(trial)
    trial.results["a", 0] = flat(0.1)
    assert not race.hopeless(trial)


def test_savings_of_nothing() -> None:
    assert savings([], 4).share == 0.0


def test_tasks_are_ordered_by_what_is_maximised() -> None:
    """A task with a low score and a large gain does not decide a worst gain."""
    results = [JobResult("a", 0, 0.3, 0.0), JobResult("b", 0, 0.9, 0.85)]
    for kind, order in (("worst_score", ["a", "b"]), ("worst_gain", ["b", "a"])):
        race = Race(["a", "b"], Objective(kind, (0,), {}), "exact")  # type: ignore[arg-type]
        race.observe({result.cell: result for result in results})
        assert race.order() == order

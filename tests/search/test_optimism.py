"""Selection optimism, against simulations in which the truth is known."""

import numpy as np
import pytest

from selfguide.search.objective import Kind, Objective
from selfguide.search.optimism import Choice, Optimism, optimism
from selfguide.search.results import Cell, JobResult

TASKS = ["a", "b", "c", "d"]
Row = dict[Cell, JobResult]


def drawn(truth: list[list[float]], instances: int, seed: int) -> list[Row]:
    """For each setting, scores of 0 and 1 on each task, with these true means."""
    draw = np.random.default_rng(seed)
    rows = []
    for means in truth:
        row: Row = {}
        for task, mean in zip(TASKS, means, strict=True):
            scores = tuple((draw.random(instances) < mean).astype(float).tolist())
            row[task, 0] = JobResult(task, 0, sum(scores) / instances, scores=scores)
        rows.append(row)
    return rows


def estimate(rows: list[Row], objective: Objective) -> tuple[int, Optimism]:
    """The winner's place and what is said of it."""
    admissible = [place for place, row in enumerate(rows) if objective.admissible(row)]
    winner = max(admissible, key=lambda place: (objective.value(rows[place], TASKS), -place))
    found = optimism(rows[winner], rows, TASKS, Choice(objective, objective))
    assert found is not None
    return winner, found


@pytest.mark.parametrize("instances", [12, 100])
def test_without_a_choice_there_is_no_optimism(instances: int) -> None:
    """The downward bias of a minimum of four noisy means is no luck of the choice."""
    for seed in range(5):
        _, found = estimate(drawn([[0.6] * 4], instances, seed), Objective("worst_score", (0,), {}, resamples=300))
        assert found.optimism == 0 and found.corrected == found.measured
        assert sum(found.deciding.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["worst_score", "lcb"])
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_what_is_expected_is_what_fresh_instances_give(kind: Kind, spread: float) -> None:
    """Over 40 sweeps of 12 settings: the winner's minimum as measured, as expected, and on fresh instances."""
    instances, objective = 60, Objective(kind, (0,), {}, resamples=200)
    measured, expected, fresh = [], [], []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        truth = [[float(mean)] * 4 for mean in 0.5 + spread * draw.standard_normal(12)]
        winner, found = estimate(drawn(truth, instances, seed), objective)
        measured.append(found.measured)
        expected.append(found.corrected)
        fresh.append((draw.binomial(instances, truth[winner], size=(100, 4)) / instances).min(axis=1).mean())
    before, after = np.mean(measured) - np.mean(fresh), np.mean(expected) - np.mean(fresh)
    assert before > 0.03
    assert abs(after) < 0.02 < before / 1.5


def test_a_clear_winner_was_not_lucky() -> None:
    rows = drawn([[0.9] * 4, *[[0.3] * 4] * 8], 50, 1)
    winner, found = estimate(rows, Objective("worst_score", (0,), {}, resamples=300))
    assert winner == 0 and abs(found.optimism) < 0.005


def test_settings_below_a_floor_are_not_chosen() -> None:
    """The one setting above the floor is no choice, however lucky the others were."""
    rows = drawn([[0.9, 0.4, 0.4, 0.4], *[[0.6] * 4] * 8], 60, 2)
    assert estimate(rows, Objective("worst_score", (0,), {}, resamples=300))[1].settings == 9
    winner, found = estimate(rows, Objective("worst_score", (0,), {"a": 0.8}, resamples=300))
    assert (winner, found.settings, found.optimism) == (0, 1, 0)


def test_the_lower_bound_chooses_by_the_bound() -> None:
    """A steady setting with the higher bound is chosen always, whatever another reaches by luck."""
    steady = {(task, 0): JobResult(task, 0, 0.5, scores=(0.5,) * 40) for task in TASKS}
    wild = {(task, 0): JobResult(task, 0, 0.55, scores=(1.0,) * 22 + (0.0,) * 18) for task in TASKS}
    assert estimate([steady, wild], Objective("worst_score", (0,), {}, resamples=300))[1].optimism > 0.01
    winner, found = estimate([steady, wild], Objective("lcb", (0,), {}, resamples=300))
    assert winner == 0 and abs(found.optimism) < 0.005


def with_trainings(draw: np.random.Generator, truth: np.ndarray, sd: float, seed: int) -> Row:
    """One training of a setting: its true means differ by `sd` from those of the setting."""
    row: Row = {}
    for task, mean in zip(TASKS, truth + draw.normal(0, sd, len(TASKS)), strict=True):
        scores = tuple((draw.random(100) < mean).astype(float).tolist())
        row[task, seed] = JobResult(task, seed, float(np.mean(scores)), scores=scores)
    return row


def test_the_luck_of_a_training_counts_where_finalists_were_confirmed() -> None:
    """Over 30 sweeps of 12 settings whose trainings differ by 0.15: what is expected, against fresh trainings."""
    search, final = (Objective("worst_score", seeds, {}, resamples=200) for seeds in ((0,), (0, 1, 2)))
    errors, once, naive = [], [], []
    for repetition in range(30):
        draw = np.random.default_rng(repetition)
        truth = (0.7 + 0.08 * draw.standard_normal((12, 4))).clip(0.2, 0.95)
        rows = [with_trainings(draw, means, 0.15, 0) for means in truth]
        best = sorted(range(12), key=lambda index: -search.value(rows[index], TASKS))[:3]
        for index in best:
            rows[index] |= with_trainings(draw, truth[index], 0.15, 1) | with_trainings(draw, truth[index], 0.15, 2)
        winner = max(best, key=lambda index: final.value(rows[index], TASKS))
        found = optimism(rows[winner], rows, TASKS, Choice(search, final, 3))
        assert found is not None and found.one_training is not None
        trained = truth[winner] + draw.normal(0, 0.15, (200, 3, 4))
        fresh = draw.binomial(100, trained.clip(0, 1)) / 100
        errors.append(found.corrected - fresh.mean(axis=1).min(axis=1).mean())
        once.append(found.one_training - fresh[:, 0].min(axis=1).mean())
        naive.append(found.measured - fresh.mean(axis=1).min(axis=1).mean())
    assert np.mean(naive) > 0.06
    assert abs(np.mean(errors)) < 0.025 and abs(np.mean(once)) < 0.03


def test_one_seed_says_nothing_of_trainings() -> None:
    found = estimate(drawn([[0.6] * 4, [0.5] * 4], 50, 3), Objective("worst_score", (0,), {}, resamples=100))[1]
    assert found.seed_sd is None and found.one_training is None


def test_settings_that_racing_stopped_count() -> None:
    """Over 30 raced sweeps of 16 settings: without the stopped ones half of the luck is missed."""
    objective = Objective("worst_score", (0,), {}, resamples=200)
    choice, truth, with_stopped, without = Choice(objective, objective), [], [], []
    for repetition in range(30):
        draw = np.random.default_rng(100 + repetition)
        means = (draw.uniform(0.45, 0.8, 4) + 0.08 * draw.standard_normal((16, 4))).clip(0.05, 0.95)
        finished, decided, best = [], [], -1.0
        for row in drawn(means.tolist(), 60, repetition):
            partial: Row = {}
            for task in sorted(TASKS, key=lambda task: means[:, TASKS.index(task)].mean()):
                partial[task, 0] = row[task, 0]
                if (value := objective.value(partial, TASKS)) <= best:
                    break
            decided.append(partial)
            if len(partial) == len(TASKS) and value > best:
                best = value
                finished.append((len(decided) - 1, partial))
        index, winner = finished[-1]
        fresh = (draw.binomial(60, means[index], (200, 4)) / 60).min(axis=1).mean()
        truth.append(best - fresh)
        for rows, found in ((decided, with_stopped), ([row for _, row in finished], without)):
            estimated = optimism(winner, rows, TASKS, choice)
            assert estimated is not None
            found.append(estimated.optimism)
    assert abs(np.mean(with_stopped) - np.mean(truth)) < 0.02 < np.mean(truth) - np.mean(without)

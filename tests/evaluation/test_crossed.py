"""Gains over seeds and instances: interval and test agree, and few seeds that differ are not taken for many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import bootstrap_mean, permutation_p

Array = NDArray[np.float64]
QUICK = {"resamples": 200}


def drawn(generator: np.random.Generator, seeds: int, by_seed: float, by_instance: float, each: float) -> Array:
    """Differences without an effect, (seeds, 30)."""
    found: Array = (
        by_seed * generator.normal(size=(seeds, 1))
        + by_instance * generator.normal(size=(1, 30))
        + each * generator.normal(size=(seeds, 30))
    )
    return found


def test_one_seed_is_the_paired_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.15, 0.3, size=(1, 40))
    gain, expected = crossed_gain([differences]), stats.ttest_1samp(differences[0], 0)
    low, high = expected.confidence_interval(0.95)
    assert (gain.ci_low, gain.ci_high) == pytest.approx((low, high))
    assert gain.p == max(expected.pvalue, permutation_p(differences[0]))


def test_seeds_alone_are_the_t_test_over_seeds() -> None:
    differences = np.array([0.1, 0.2, 0.5])[:, None].repeat(50, axis=1)
    gain, expected = crossed_gain([differences]), stats.ttest_1samp(differences[:, 0], 0)
    low, high = expected.confidence_interval(0.95)
    assert (gain.value, gain.ci_low, gain.ci_high) == pytest.approx((0.8 / 3, low, high))
    assert gain.p == pytest.approx(expected.pvalue)


def test_seeds_and_instances_by_hand() -> None:
    differences = np.array([[0.4, 0.0], [0.2, 0.2]])  # means over instances 0.2, 0.2; over seeds 0.3, 0.1
    gain = crossed_gain([differences])
    half = stats.t.ppf(0.975, 1) * 0.1  # variance of two means: 0.02 / 2, one degree of freedom
    assert (gain.value, gain.ci_low, gain.ci_high) == pytest.approx((0.2, max(-1, 0.2 - half), min(1, 0.2 + half)))


def test_tasks_by_hand() -> None:
    """The mean over tasks weighs every task alike, and its variance is the sum of theirs over their number squared."""
    generator = np.random.default_rng(5)
    tasks = [generator.normal(0.1, 0.2, size=(1, 20)), generator.normal(0.2, 0.4, size=(1, 50))]
    gain = crossed_gain(tasks)
    parts = [(task.var(ddof=1) / task.size / 4, task.size - 1) for task in tasks]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    mean = (tasks[0].mean() + tasks[1].mean()) / 2
    assert (gain.value, gain.ci_low, gain.ci_high) == pytest.approx((mean, mean - half, mean + half))
    drawn = stats.ttest_1samp([task.mean() for task in tasks], 0).confidence_interval(0.95)
    sampled = crossed_gain(tasks, sampled_tasks=True)
    assert (sampled.ci_low, sampled.ci_high) == pytest.approx((max(-1, drawn.low), min(1, drawn.high)))


def test_the_larger_of_the_two_tests_counts() -> None:
    """Four differences that are nearly equal: certain for the t test, 2 of 16 sign patterns for the other."""
    differences = np.array([[0.90, 0.91, 0.92, 0.93]])
    assert crossed_gain([differences]).p == 2 / 16 > stats.ttest_1samp(differences[0], 0).pvalue
    spread = np.array([[0.1, 0.9, 0.5, 0.6, 0.2, -0.4, -0.3, 0.8]])
    assert crossed_gain([spread]).p == pytest.approx(
        max(stats.ttest_1samp(spread[0], 0).pvalue, permutation_p(spread[0]))
    )


def test_the_test_of_signs_weighs_tasks_alike_whatever_their_instances() -> None:
    few, many = np.array([[-0.5, -0.5]]), np.array([[0.0, 0.0, 0.5, 1.0, -0.5, 1.0, 0.5, 0.0]])
    weighed = np.concatenate([few[0] / 2, many[0] / 8])
    assert crossed_gain([few, many]).p == permutation_p(weighed) > permutation_p(np.concatenate([few[0], many[0]]))


def test_the_score_of_tasks_weighs_each_alike_whatever_its_instances() -> None:
    tasks = [np.array([[1.0, 0.0, 1.0, 1.0]]), np.tile([0.0, 0.5], 20)[None]]
    found = crossed_interval(tasks)
    assert (found.value, found.n) == ((0.75 + 0.25) / 2, 44)
    assert found.ci_low < found.value < found.ci_high


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_score_has_its_confidence_and_holds_the_seeds(confidence: float) -> None:
    half = stats.norm.ppf((1 + confidence) / 2)
    one = np.random.default_rng(0).random((1, 300))
    found = crossed_interval([one], confidence=confidence)
    expected = half * one.std() / np.sqrt(300)
    assert (found.ci_high - found.ci_low) / 2 == pytest.approx(expected, rel=0.06)
    assert found.ci_low + found.ci_high == pytest.approx(2 * one.mean(), abs=0.1 * expected)
    # Instances that are alike: all of the width is of 40 seeds.
    seeds = np.random.default_rng(1).random((40, 1)).repeat(9, axis=1)
    found = crossed_interval([seeds], confidence=confidence)
    assert (found.ci_high - found.ci_low) / 2 == pytest.approx(half * seeds.std() / np.sqrt(40), rel=0.1)


def test_few_or_equal_differences_are_not_certain() -> None:
    assert crossed_gain([np.ones((3, 4))]).p == pytest.approx(2 / 2**4)
    assert crossed_gain([np.ones((1, 1))]).p == 1
    assert crossed_gain([np.zeros((3, 50))]).p == 1
    assert crossed_gain([np.full((3, 50), 0.1 + 0.2)]).p < 1e-9


@pytest.mark.parametrize(
    ("seeds", "tasks", "by_seed", "by_instance", "each", "least"),
    [
        (3, 1, 0.3, 0.1, 0.2, 0.02),  # seeds differ strongly
        (3, 2, 0.3, 0.1, 0.2, 0.01),
        (3, 1, 0.05, 0.3, 0.2, 0.01),
        (3, 1, 0.0, 0.3, 0.05, 0.02),  # seeds are alike
        (3, 1, 0.0, 0.0, 0.3, 0.0),  # single scores alone: too careful
        (1, 1, 0.0, 0.3, 0.0, 0.02),
    ],
)
def test_false_alarms(seeds: int, tasks: int, by_seed: float, by_instance: float, each: float, least: float) -> None:
    generator = np.random.default_rng(7)
    alarms, by_instances = [], []
    for _ in range(400):
        differences = [drawn(generator, seeds, by_seed, by_instance, each) for _ in range(tasks)]
        gain = crossed_gain(differences, **QUICK)
        alarms.append(gain.p < 0.05)
        by_instances.append(permutation_p(np.concatenate(differences, axis=1).mean(axis=0), resamples=200) < 0.05)
    assert least <= np.mean(alarms) <= 0.08
    if by_seed == 0.3:  # what a test over the instances alone makes of the same numbers
        assert np.mean(by_instances) > 0.3


def test_a_gain_in_all_seeds_is_found() -> None:
    generator = np.random.default_rng(1)
    found = [crossed_gain([0.3 + drawn(generator, 3, 0.03, 0.3, 0.2)], **QUICK).p < 0.05 for _ in range(50)]
    assert np.mean(found) > 0.9


SCORES = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
TASKS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 9)).flatmap(lambda shape: arrays(np.float64, shape, elements=SCORES)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=80)
@given(TASKS)
def test_no_small_p_with_zero_in_the_interval(tasks: list[Array]) -> None:
    gain = crossed_gain(tasks, **QUICK)
    assert -1 <= gain.ci_low <= gain.value + 1e-12 and gain.value - 1e-12 <= gain.ci_high <= 1
    assert 0 < gain.p <= 1
    if gain.p < 0.05:
        assert gain.ci_low > 0 or gain.ci_high < 0
    turned = crossed_gain([-one[::-1] for one in tasks], **QUICK)
    assert (turned.value, turned.ci_low, turned.ci_high) == pytest.approx((-gain.value, -gain.ci_high, -gain.ci_low))
    assert turned.p == pytest.approx(gain.p, abs=0.15)


def test_all_right_is_not_certain_in_more_seeds_or_tasks() -> None:
    alone = bootstrap_mean([1.0] * 200)
    assert crossed_interval([np.ones((3, 200))]) == alone
    assert alone.ci_low < crossed_interval([np.ones((3, 200))] * 2).ci_low < 1


def test_interval_of_several_seeds() -> None:
    generator = np.random.default_rng(3)
    scores = [np.clip(0.5 + drawn(generator, 3, 0.1, 0.2, 0.1), 0, 1) for _ in range(2)]
    one, both = crossed_interval(scores[:1]), crossed_interval(scores)
    assert one.value == pytest.approx(scores[0].mean()) and one.ci_low < one.value < one.ci_high
    assert one.ci_high - one.ci_low > both.ci_high - both.ci_low and both.n == 60


def test_sampled_tasks_are_the_t_test_over_tasks() -> None:
    effects = np.random.default_rng(2).normal(0.2, 0.2, 9)
    tasks = [effect + drawn(np.random.default_rng(5), 3, 0.01, 0.1, 0.1) for effect in effects]
    means = [task.mean() for task in tasks]
    gain, expected = crossed_gain(tasks, sampled_tasks=True), stats.ttest_1samp(means, 0)
    low, high = expected.confidence_interval(0.95)
    assert (gain.ci_low, gain.ci_high) == pytest.approx((low, high))
    assert gain.p == max(expected.pvalue, permutation_p(means))
    # The tasks alone say less than their instances do.
    assert gain.ci_low < crossed_gain(tasks).ci_low


def test_three_trainings_that_differ_have_an_interval_that_holds_the_score() -> None:
    """A bootstrap over three seeds held it in three of four cases."""
    generator, held = np.random.default_rng(0), 0
    for _ in range(300):
        share = (0.6 + generator.normal(0, 0.15, (3, 1))).clip(0, 1)
        interval = crossed_interval([(generator.random((3, 100)) < share).astype(float)])
        held += interval.ci_low <= 0.6 <= interval.ci_high
    assert held / 300 >= 0.92

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from selfguide.evaluation import statistics
from selfguide.evaluation.statistics import (
    bootstrap_mean,
    detectable_difference,
    equal_gain,
    holm,
    margin_of_error,
    paired_gain,
    permutation_p,
)


def test_bootstrap_is_near_the_normal_interval_and_deterministic() -> None:
    scores = np.random.default_rng(1).random(400)
    interval = bootstrap_mean(scores, resamples=4000, confidence=0.95, seed=3)
    half = 1.96 * scores.std() / 20
    assert interval.value == pytest.approx(scores.mean())
    assert interval.ci_low == pytest.approx(scores.mean() - half, abs=0.005)
    assert interval.ci_high == pytest.approx(scores.mean() + half, abs=0.005)
    assert interval.n == 400
    assert interval == bootstrap_mean(scores, resamples=4000, confidence=0.95, seed=3)
    assert interval != bootstrap_mean(scores, resamples=4000, confidence=0.95, seed=4)


def test_coverage_of_the_bootstrap() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        interval = bootstrap_mean(
            (generator.random(100) < 0.7).astype(float), resamples=500, confidence=0.9, seed=trial
        )
        covered += interval.ci_low <= 0.7 <= interval.ci_high
    assert 165 <= covered <= 195  # 180 expected; the percentile bootstrap covers a little less


def test_all_wrong_is_not_certainly_zero() -> None:
    interval = bootstrap_mean([0.0] * 12)
    exact = stats.binomtest(0, 12).proportion_ci(0.95, method="exact")
    assert (interval.ci_low, interval.ci_high) == pytest.approx((exact.low, exact.high))
    assert bootstrap_mean([1.0] * 12).ci_low == pytest.approx(1 - exact.high)
    assert bootstrap_mean([0.5] * 5).ci_high == 0.5


@pytest.mark.parametrize("size", [1, 500, 10**9])
def test_draws_in_blocks_are_those_of_one_block(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What bounds the memory must not show in the result: from one resample at a time to all at once."""
    scores, few = np.random.default_rng(2).random(60), {"resamples": 300, "seed": 4}
    tested = scores - 0.45
    whole = bootstrap_mean(scores, **few), permutation_p(tested, **few)  # type: ignore[arg-type]
    monkeypatch.setattr(statistics, "BATCH", size)
    assert (bootstrap_mean(scores, **few), permutation_p(tested, **few)) == whole  # type: ignore[arg-type]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_score_is_the_bootstrap_of_scipy(confidence: float) -> None:
    scores = np.random.default_rng(3).random(80)
    one = bootstrap_mean(scores, resamples=4000, confidence=confidence, seed=1)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=4000, method="percentile", confidence_level=confidence,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (one.ci_low, one.ci_high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_gain_is_of_the_pairs(confidence: float) -> None:
    """Of scores that go up and down together: unpaired, the interval would be many times as wide."""
    generator = np.random.default_rng(3)
    baseline = generator.random(80)
    tuned = baseline + generator.normal(0.02, 0.01, 80)
    gain = paired_gain(tuned, baseline, resamples=4000, confidence=confidence, seed=1)
    expected = stats.ttest_1samp(tuned - baseline, 0).confidence_interval(confidence)
    assert (gain.ci_low, gain.ci_high) == pytest.approx((expected.low, expected.high), abs=4e-4)


def test_paired_gain_by_hand() -> None:
    # 5 instances won, 1 lost, 4 equal: the exact sign test gives 2 * (1 + 6) / 64.
    tuned, baseline = [1.0] * 5 + [0.0] + [1.0] * 4, [0.0] * 5 + [1.0] + [1.0] * 4
    gain = paired_gain(tuned, baseline)
    assert gain.value == pytest.approx(0.4)
    assert gain.p == pytest.approx(14 / 64)
    assert gain.ci_low < 0.4 < gain.ci_high


def test_exact_permutation_by_hand() -> None:
    # |±1±2±4| >= 7 for two patterns of eight.
    assert permutation_p([1, 2, 4]) == pytest.approx(2 / 8)
    # 1 + 2 - 4 = -1: every pattern is at least as extreme.
    assert permutation_p([1, 2, -4]) == 1.0
    assert permutation_p([0.0, 0.0]) == 1.0


def test_drawn_permutation_agrees_with_scipy() -> None:
    differences = np.random.default_rng(5).normal(0.15, 1, size=100)
    ours = permutation_p(differences, resamples=20_000, seed=1)
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.01)


def test_a_drawn_p_is_never_zero() -> None:
    """The signs that were observed are a pattern themselves: of 999 others none is as extreme."""
    differences = np.random.default_rng(0).uniform(0.5, 1, size=100)
    assert permutation_p(differences, resamples=999) == 1 / 1000
    assert permutation_p(-differences, resamples=999) == 1 / 1000


@pytest.mark.parametrize("count", [13, 14, 15])
def test_few_differences_are_enumerated_and_more_are_drawn(count: int) -> None:
    differences = np.random.default_rng(1).uniform(0.5, 1, size=count)
    assert permutation_p(differences, resamples=99) == (2 / 2**count if count <= 14 else 1 / 100)


def test_p_is_uniform_under_the_null() -> None:
    generator = np.random.default_rng(7)
    p_values = [permutation_p(generator.normal(size=40), resamples=400, seed=i) for i in range(200)]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_n_can_show() -> None:
    assert margin_of_error(12) == pytest.approx(0.283, abs=1e-3)
    assert margin_of_error(98) == pytest.approx(0.099, abs=1e-3)
    assert detectable_difference(100) == pytest.approx((1.96 + 0.8416) * 0.05, abs=1e-4)
    assert detectable_difference(1) == 1.0


@pytest.mark.parametrize("scores", [[], [float("nan")], [[1.0]]])
def test_bad_scores(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="score"):
        bootstrap_mean(scores)


def test_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="unequal length: 2 and 1"):
        paired_gain([1, 0], [1])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 1.0]), min_size=1, max_size=30))
def test_interval_and_test_never_contradict_each_other(differences: list[float]) -> None:
    gain = paired_gain(differences, [0.0] * len(differences), resamples=300)
    assert (gain.p < 0.05) == (not gain.ci_low <= 0 <= gain.ci_high)
    assert -1 <= gain.ci_low <= gain.value + 1e-9 and gain.value - 1e-9 <= gain.ci_high <= 1
    assert gain.ci_low < gain.ci_high, "few instances leave doubt, also where all are alike"


def test_the_interval_holds_the_gain_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(300):
        before, after = generator.random(40) < 0.5, generator.random(40) < 0.7
        gain = paired_gain(after.astype(float), before.astype(float), resamples=300)
        held += gain.ci_low <= 0.2 <= gain.ci_high
    assert 0.92 <= held / 300 <= 0.99


def test_as_few_as_18_draws_refute_nothing_at_five_percent() -> None:
    """The observed signs are one of 19 patterns: no p is below 1/19."""
    differences = [0.5 + number / 100 for number in range(20)]
    gain = paired_gain(differences, [0.0] * 20, resamples=18)
    assert (gain.ci_low, gain.ci_high) == (-1.0, 1.0)


def test_equal_gains_twice_as_large_have_an_interval_twice_as_wide() -> None:
    small, large = (equal_gain(value, 30, 0.001, 0.95) for value in (0.1, 0.2))
    assert large.ci_high - large.ci_low == pytest.approx(2 * (small.ci_high - small.ci_low))

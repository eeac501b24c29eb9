"""How sure a score is: intervals, a paired test, correction for many tests, and what n can show.

Everything is deterministic from `seed`. The bootstrap is scipy's; the sign flips are ours, as scipy's
`permutation_test` doubles one tail of its draws where the test here counts both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Resamples are drawn in batches of about this many numbers, to bound the memory.
BATCH = 4_000_000
EXACT_PAIRS = 14  # up to 2^14 sign patterns are enumerated rather than drawn
Scores = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `n` scores with its confidence interval."""

    value: float
    ci_low: float
    ci_high: float
    n: int


@dataclass(frozen=True, slots=True)
class Gain:
    """A mean paired difference with its confidence interval and two-sided p-value."""

    value: float
    ci_low: float
    ci_high: float
    p: float


def bootstrap_mean(scores: Scores, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean of scores from 0 to 1.

    When all scores are 0, or all are 1, resampling shows no spread and the interval would be a
    point; the exact binomial (Clopper-Pearson) interval stands in. Raises ValueError without scores.
    """
    values = _checked(scores)
    mean = float(values.mean())
    if np.all(values == values[0]) and values[0] in (0.0, 1.0):
        tail = ((1 - confidence) / 2) ** (1 / len(values))
        low, high = (0.0, 1 - tail) if values[0] == 0 else (tail, 1.0)
        return Interval(mean, low, high, len(values))
    low, high = _percentile_interval(values, resamples, confidence, seed)
    return Interval(mean, low, high, len(values))


def paired_gain(
    tuned: Scores, baseline: Scores, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Gain:
    """The mean of tuned minus baseline over the same instances.

    Interval and p are of one test, so they cannot contradict each other: flipping signs (two-sided, exact for few or
    for equally large differences). The interval holds the gains that it does not refute. Raises ValueError for
    unequal lengths.
    """
    new, old = _checked(tuned), _checked(baseline)
    if len(old) != len(new):
        raise ValueError(f"paired scores of unequal length: {len(new)} and {len(old)}")
    differences = new - old
    if np.all(differences == differences[0]):
        p = permutation_p(differences, seed=seed)
        return equal_gain(float(differences.mean()), len(differences), p, confidence)
    low, high = _not_refuted(differences, resamples, confidence, seed)
    p = permutation_p(differences, resamples=resamples, seed=seed)
    return consistent(Gain(float(differences.mean()), max(-1.0, low), min(1.0, high), p), confidence)


def equal_gain(value: float, n: int, p: float, confidence: float) -> Gain:
    """The gain where n paired differences are all the same, without any spread to judge by.

    Its interval is as wide as the exact binomial (Clopper-Pearson) one of n equal outcomes.
    """
    half = (1 - ((1 - confidence) / 2) ** (1 / n)) * (abs(value) or 1.0)
    return consistent(Gain(value, max(-1.0, value - half), min(1.0, value + half), p), confidence)


def consistent(gain: Gain, confidence: float) -> Gain:
    """The gain with 0 in its interval where p does not refute it, and p no smaller than the interval says."""
    alpha = 1 - confidence
    if gain.p >= alpha:
        return Gain(gain.value, min(gain.ci_low, 0.0), max(gain.ci_high, 0.0), gain.p)
    return gain if not gain.ci_low <= 0 <= gain.ci_high else Gain(gain.value, gain.ci_low, gain.ci_high, alpha)


def permutation_p(differences: Scores, *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value that the differences are symmetric about 0, by flipping their signs."""
    values = _checked(differences)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    sizes = np.abs(values)
    if np.allclose(sizes, sizes[0], rtol=1e-12):
        from scipy.stats import binomtest

        return float(binomtest(int((values > 0).sum()), len(values)).pvalue)
    observed = abs(float(values.sum())) - 1e-9 * float(sizes.sum())
    if len(values) <= EXACT_PAIRS:
        patterns = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        return float((np.abs((2 * patterns - 1) @ sizes) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    batch = max(1, BATCH // len(values))
    for start in range(0, resamples, batch):
        signs = generator.integers(0, 2, size=(min(batch, resamples - start), len(values)), dtype=np.int8)
        sums = 2 * (signs @ sizes) - sizes.sum()
        extreme += int((np.abs(sums) >= observed).sum())
    # The observed signs are one of the patterns: p is never 0.
    return (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the order given."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def margin_of_error(n: int, *, confidence: float = 0.95, spread: float = 0.5) -> float:
    """Half the width of the normal interval of a mean of n scores with standard deviation `spread`.

    0.5 is the largest standard deviation that scores from 0 to 1 can have.
    """
    _require_some(n)
    return min(1.0, _quantile((1 + confidence) / 2) * spread / math.sqrt(n))


def detectable_difference(n: int, *, confidence: float = 0.95, power: float = 0.8, spread: float = 0.5) -> float:
    """The smallest true gain that n paired instances show as significant with probability `power`.

    `spread` is the standard deviation of the paired differences: the root of the share of
    instances on which two classifiers differ in correctness; 0.5 stands for one in four.
    """
    _require_some(n)
    return min(1.0, (_quantile((1 + confidence) / 2) + _quantile(power)) * spread / math.sqrt(n))


def _percentile_interval(
    values: NDArray[np.float64], resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    if np.all(values == values[0]):
        return float(values.mean()), float(values.mean())
    from scipy.stats import bootstrap

    result = bootstrap(
        (values,), np.mean, n_resamples=resamples, batch=max(1, BATCH // len(values)), method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    tail = (1 - confidence) / 2
    low, high = np.quantile(result.bootstrap_distribution, [tail, 1 - tail])
    return float(low), float(high)


def _not_refuted(values: NDArray[np.float64], resamples: int, confidence: float, seed: int) -> tuple[float, float]:
    """The shifts that flipping the signs of what is left over does not refute.

    Flipped by signs s, differences d less a shift sum to s·d - shift·sum(s): two sums a pattern serve all shifts.
    """
    count, mean = len(values), float(values.mean())
    if count <= EXACT_PAIRS:
        patterns = 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1) - 1
        sums, signs = patterns @ values, patterns.sum(axis=1)
        least = 0
    else:
        generator, batch = np.random.default_rng(seed), max(1, BATCH // count)
        drawn = [
            (flips @ values, flips.sum(axis=1, dtype=np.int64))
            for start in range(0, resamples, batch)
            for flips in [generator.choice(np.array([-1, 1], np.int8), (min(batch, resamples - start), count))]
        ]
        sums, signs = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        least = 1

    def refuted(shift: float) -> bool:
        observed = abs(count * (mean - shift)) - 1e-9 * float(np.abs(values - shift).sum())
        extreme = int((np.abs(sums - shift * signs) >= observed).sum())
        return (extreme + least) / (len(sums) + least) < 1 - confidence

    def bound(outside: float) -> float:
        inside = mean
        if not refuted(outside):
            return outside
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refuted(middle) else (middle, outside)
        return inside

    return bound(min(-1.0, float(values.min()))), bound(max(1.0, float(values.max())))


def _quantile(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def _checked(scores: Scores) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError("need a list of at least one score")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite numbers")
    return values


def _require_some(n: int) -> None:
    if n < 1:
        raise ValueError("need at least one instance")

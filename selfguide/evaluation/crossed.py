"""Means over tasks, seeds and instances: an interval and a test that speak of all of them.

A run's seed and an instance each have an effect of their own, so the scores of one seed, or of one
instance, are no independent draws. The variance of the mean is the sum of the variances of the
seeds' and of the instances' means (a little too large, as the noise of single scores is in both);
its degrees of freedom are Satterthwaite's, so few seeds that differ strongly weigh as few.
Resampling or flipping three seeds cannot do this: the percentile bootstrap then takes one null
effect in four for real at the 5 % level, and sign flips have no p-value below 1/4.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selfguide.evaluation.statistics import Gain, Interval, bootstrap_mean, consistent, equal_gain, permutation_p

ByTask = Sequence[NDArray[np.float64]]
"""(seeds, instances) for each task."""


def crossed_interval(tasks: ByTask, *, confidence: float = 0.95) -> Interval:
    """The mean over tasks of scores from 0 to 1, with the t interval over seeds and instances.

    Scores that are all 0, or all 1, have the exact interval of their instances.
    """
    instances = sum(scores.shape[1] for scores in tasks)
    first = tasks[0].flat[0]
    if first in (0.0, 1.0) and all((scores == first).all() for scores in tasks):
        return bootstrap_mean(np.concatenate([scores.mean(axis=0) for scores in tasks]), confidence=confidence)
    mean = float(np.mean([scores.mean() for scores in tasks]))
    half = _half_width(*_standard_error(_crossed_parts(tasks)), confidence)
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), instances)


def crossed_gain(
    tasks: ByTask, *, sampled_tasks: bool = False, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Gain:
    """The mean over tasks of paired differences from -1 to 1.

    p < 1 - `confidence` only where the interval leaves 0 out: it is the t test's, or that of sign
    flips over the instances (means over the seeds) if larger, which holds for few or equal
    differences too. With one seed both are about the instances alone. With `sampled_tasks` the tasks
    stand for others like them: t test and sign flips are then over the tasks' means.
    """
    means = np.array([task.mean() for task in tasks])
    mean = float(means.mean())
    if sampled_tasks:
        parts, flipped = _variance(means, 1), means
    else:
        # A task's instances weigh as much as its share in the mean over tasks.
        parts = _crossed_parts(tasks)
        flipped = np.concatenate([task.mean(axis=0) / (task.shape[1] * len(tasks)) for task in tasks])
    p = permutation_p(flipped, resamples=resamples, seed=seed)
    error, freedom = _standard_error(parts)
    if not error:
        return equal_gain(mean, len(flipped), p, confidence)
    from scipy.stats import t

    half = _half_width(error, freedom, confidence)
    p = max(p, 2 * float(t.sf(abs(mean) / error, freedom)))
    return consistent(Gain(mean, max(-1.0, mean - half), min(1.0, mean + half), p), confidence)


def _standard_error(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Of a mean with these variances, and Satterthwaite's degrees of freedom; 0 where all is equal but for rounding."""
    variance = sum(value for value, _ in parts)
    if variance < 1e-20:
        return 0.0, 1.0
    return math.sqrt(variance), variance**2 / sum(value**2 / degrees for value, degrees in parts)


def _half_width(error: float, freedom: float, confidence: float) -> float:
    """Of the t interval."""
    from scipy.stats import t

    return float(t.ppf((1 + confidence) / 2, freedom)) * error


def _crossed_parts(tasks: ByTask) -> list[tuple[float, int]]:
    """What seeds and instances of each task add to the variance of the mean over tasks."""
    return [part for task in tasks for axis in (1, 0) for part in _variance(task.mean(axis=axis), len(tasks))]


def _variance(means: NDArray[np.float64], tasks: int) -> list[tuple[float, int]]:
    """What the spread of `means` adds to the variance of the mean over tasks, with its degrees of freedom."""
    return [(float(means.var(ddof=1)) / len(means) / tasks**2, len(means) - 1)] if len(means) > 1 else []

"""Mean paired differences over seeds and instances: an interval and a test that speak of the same two.

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

from selfguide.evaluation.statistics import Gain, permutation_p

Differences = Sequence[NDArray[np.float64]]


def crossed_gain(tasks: Differences, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Gain:
    """The mean over tasks of paired differences, (seeds, instances) for each; they lie from -1 to 1.

    p < 1 - `confidence` only where the interval leaves 0 out: it is the t test's, or that of sign
    flips over the instances (means over the seeds) if larger, which holds for few or equal
    differences too. With one seed both are about the instances alone.
    """
    mean = float(np.mean([one.mean() for one in tasks]))
    parts = [part for one in tasks for part in _variances(one, len(tasks))]
    variance = sum(value for value, _ in parts)
    # A task's instances weigh as much as its share in the mean over tasks.
    weighed = np.concatenate([one.mean(axis=0) / (one.shape[1] * len(tasks)) for one in tasks])
    flipped = permutation_p(weighed, resamples=resamples, seed=seed)
    if variance < 1e-20:  # equal but for rounding
        return Gain(mean, mean, mean, flipped)
    from scipy.stats import t

    freedom = variance**2 / sum(value**2 / degrees for value, degrees in parts)
    error = math.sqrt(variance)
    half = float(t.ppf((1 + confidence) / 2, freedom)) * error
    p = 2 * float(t.sf(abs(mean) / error, freedom))
    return Gain(mean, max(-1.0, mean - half), min(1.0, mean + half), max(p, flipped))


def _variances(differences: NDArray[np.float64], tasks: int) -> list[tuple[float, int]]:
    """What the seeds and the instances of one task add to the mean's variance, with their degrees of freedom."""
    means = [differences.mean(axis=other) for other in (1, 0)]
    return [(float(one.var(ddof=1)) / len(one) / tasks**2, len(one) - 1) for one in means if len(one) > 1]

"""How much of the winner's validation minimum is luck of the draw.

Choosing the best of many settings on few instances favours the lucky one. The bootstrap repeats the
choice on resampled instances and compares the chosen setting's minimum there with its own mean over
all resamples: the mean difference is the optimism (Efron and Tibshirani 1993, ch. 17). That the
minimum of several noisy means lies below the minimum of the true ones is in both terms and cancels:
with one setting there is no choice, and the optimism is 0.

The settings that racing stopped are not part of it, and where all settings are truly alike a resample
shows about 7 tenths of the luck (the settings differ by chance already): it is, if anything, too small.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfguide.search.objective import Objective, Results


@dataclass(frozen=True, slots=True)
class Optimism:
    """The winner's minimum over tasks as measured, how much of it is expected to be luck, and its interval.

    `deciding` counts, per task, in which share of the resamples it is the winner's worst; `settings`
    are those that could be chosen.
    """

    measured: float
    optimism: float
    low: float
    high: float
    deciding: dict[str, float]
    settings: int

    @property
    def corrected(self) -> float:
        """What the same measurement is expected to give: the minimum over the same tasks, on as many fresh instances.

        The minimum of the true means lies above it, by what the noise of the means pulls a minimum down.
        """
        return self.measured - self.optimism


def optimism(
    winner: Results, finished: Sequence[Results], tasks: Sequence[str], objective: Objective
) -> Optimism | None:
    """None where jobs left no scores per instance. `finished` are all complete trials, the winner among them."""
    if not all(result.scores for results in finished for result in results.values()):
        return None
    candidates = [results for results in finished if objective.admissible(results)]
    minima = np.stack([_minima(objective, results, tasks) for results in candidates])
    means = minima.mean(axis=1, keepdims=True)
    luck = np.take_along_axis(minima - means, _chosen(minima, objective)[None], axis=0)
    minimum = _minima(objective, winner, tasks)
    tail = (1 - objective.confidence) / 2
    low, high = np.quantile(minimum, [tail, 1 - tail])
    return Optimism(
        measured=objective.worst(winner, tasks),
        optimism=float(luck.mean()) if len(candidates) > 1 else 0.0,
        low=float(low),
        high=float(high),
        deciding=_deciding(objective, winner, tasks),
        settings=len(candidates),
    )


def _chosen(minima: NDArray[np.float64], objective: Objective) -> NDArray[np.intp]:
    """Which setting the objective would choose in each resample, (resamples,)."""
    if objective.kind == "lcb":
        # Each setting's bound keeps its distance from the mean: a bootstrap inside the bootstrap would cost too much.
        bounds = np.quantile(minima, 1 - objective.confidence, axis=1, keepdims=True, method="lower")
        minima = minima + bounds - minima.mean(axis=1, keepdims=True)
    chosen: NDArray[np.intp] = minima.argmax(axis=0)
    return chosen


def _minima(objective: Objective, results: Results, tasks: Sequence[str]) -> NDArray[np.float64]:
    minima = objective.resampled_minima(results, tasks)
    assert minima is not None
    return minima


def _deciding(objective: Objective, winner: Results, tasks: Sequence[str]) -> dict[str, float]:
    rows = np.stack([_minima(objective, winner, [task]) for task in tasks])
    counts = Counter(rows.argmin(axis=0).tolist())
    return {task: counts[index] / rows.shape[1] for index, task in enumerate(tasks)}

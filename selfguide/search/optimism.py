"""How much of the winner's validation minimum is luck of the draw.

Choosing the best of many settings on few instances favours the lucky one. The bootstrap repeats the
choice on resampled instances and compares the chosen setting's minimum there with its minimum on
the instances as they are: the mean difference is the optimism (Efron and Tibshirani 1993, ch. 17).
Settings that racing stopped are not part of it, so it is, if anything, too small.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfguide.search.objective import Objective, Outcomes


@dataclass(frozen=True, slots=True)
class Optimism:
    """The winner's minimum over tasks as measured, how much of it is expected to be luck, and its interval.

    `deciding` counts, per task, in which share of the resamples it is the winner's worst.
    """

    measured: float
    optimism: float
    low: float
    high: float
    deciding: dict[str, float]
    settings: int

    @property
    def corrected(self) -> float:
        """What to expect of the same tasks on fresh instances."""
        return self.measured - self.optimism


def optimism(
    winner: Outcomes, finished: Sequence[Outcomes], tasks: Sequence[str], objective: Objective
) -> Optimism | None:
    """None where jobs left no scores per instance. `finished` are all complete trials, the winner among them."""
    if not all(outcome.scores for outcomes in finished for outcome in outcomes.values()):
        return None
    minima = np.stack([_minima(objective, outcomes, tasks) for outcomes in finished])
    measured = np.array([objective.worst(outcomes, tasks) for outcomes in finished])
    chosen = minima.argmax(axis=0)
    luck = minima[chosen, np.arange(minima.shape[1])] - measured[chosen]
    own = _minima(objective, winner, tasks)
    tail = (1 - objective.confidence) / 2
    low, high = np.quantile(own, [tail, 1 - tail])
    return Optimism(
        measured=objective.worst(winner, tasks),
        optimism=float(luck.mean()),
        low=float(low),
        high=float(high),
        deciding=_deciding(objective, winner, tasks),
        settings=len(finished),
    )


def _minima(objective: Objective, outcomes: Outcomes, tasks: Sequence[str]) -> NDArray[np.float64]:
    minima = objective.resampled_minima(outcomes, tasks)
    assert minima is not None
    return minima


def _deciding(objective: Objective, winner: Outcomes, tasks: Sequence[str]) -> dict[str, float]:
    rows = np.stack([_minima(objective, winner, [task]) for task in tasks])
    counts = Counter(rows.argmin(axis=0).tolist())
    return {task: counts[place] / rows.shape[1] for place, task in enumerate(tasks)}

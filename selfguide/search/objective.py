"""From the results of a trial to its value: the worst task decides.

All values are bounds from above while jobs are missing, and only fall as more come in: a missing
seed of a begun task counts as the best conceivable score, a task not begun does not count. Sums
run over seeds in their fixed order, so that rounding cannot break the order of two bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_seed
from selfguide.search.results import Cell, JobResult

Kind = Literal["worst_score", "worst_gain", "lcb"]
Results = Mapping[Cell, JobResult]
BEST = 1.0  # no score and no gain is larger
EVERYTHING = float("inf")


@dataclass(frozen=True)
class Objective:
    """`kind` of value over `seeds`; `floors` are least scores of tasks.

    `lcb` is the one-sided lower bound, at `confidence`, of the minimum of the tasks' mean scores
    when each task's instances are resampled (`resamples` times, the same draws for every setting).
    """

    kind: Kind
    seeds: tuple[int, ...]
    floors: Mapping[str, float | str]
    confidence: float = 0.95
    resamples: int = 1000

    def task_value(self, results: Results, task: str) -> float | None:
        """The mean score, or gain, over seeds (an upper bound while some are missing); None if not begun."""
        return self._mean(results, task, self.quantity)

    def task_score(self, results: Results, task: str) -> float | None:
        """The same for the score, whatever the objective."""
        return self._mean(results, task, lambda result: result.score)

    def value(self, results: Results, tasks: Sequence[str]) -> float:
        """What is maximised; infinite before the first job."""
        if self.kind == "lcb":
            return self.quantile(results, tasks, 1 - self.confidence)
        return self.worst(results, tasks)

    def worst(self, results: Results, tasks: Sequence[str]) -> float:
        """The minimum over tasks of score or gain: `value` for all kinds but lcb."""
        values = [value for task in tasks if (value := self.task_value(results, task)) is not None]
        return min(values, default=EVERYTHING)

    def quantile(self, results: Results, tasks: Sequence[str], probability: float) -> float:
        """Of the bootstrap distribution of the minimum over tasks."""
        minima = self.resampled_minima(results, tasks)
        # "lower" picks a member: it falls whenever members fall, which interpolation need not do exactly.
        return EVERYTHING if minima is None else float(np.quantile(minima, probability, method="lower"))

    def resampled_minima(self, results: Results, tasks: Sequence[str]) -> NDArray[np.float64] | None:
        """The minimum over begun tasks in each resample; None before the first job."""
        minima: NDArray[np.float64] | None = None
        for task in tasks:
            if not any((task, seed) in results for seed in self.seeds):
                continue
            total = np.zeros(self.resamples)
            for seed in self.seeds:
                result = results.get((task, seed))
                total = total + (BEST if result is None else self.resampled(result))
            means = total / len(self.seeds)
            minima = means if minima is None else np.minimum(minima, means)
        return minima

    def violations(self, results: Results) -> dict[str, float]:
        """By how much each begun task is below its floor; not positive where it is not."""
        scores = {task: self.task_score(results, task) for task in self.floors}
        return {t: _floor(self.floors[t], t, results) - score for t, score in scores.items() if score is not None}

    def admissible(self, results: Results) -> bool:
        """Whether no floor is broken so far."""
        return all(violation <= 0 for violation in self.violations(results).values())

    def _mean(self, results: Results, task: str, quantity: Any) -> float | None:
        jobs = [results.get((task, seed)) for seed in self.seeds]
        if not any(jobs):
            return None
        total = 0.0
        for result in jobs:
            total += BEST if result is None else quantity(result)
        return total / len(self.seeds)

    def quantity(self, result: JobResult) -> float:
        """What one job contributes: its score, or its gain."""
        if self.kind != "worst_gain":
            return result.score
        if result.baseline is None:
            raise ConfigError("sweep.objective: worst_gain needs jobs that leave a result.json with a baseline")
        return result.score - result.baseline

    def resampled(self, result: JobResult) -> NDArray[np.float64]:
        """The mean over resampled instances of what one job contributes, (resamples,)."""
        if not result.scores:
            raise ConfigError("sweep: lcb and noise_aware need jobs that leave scores per instance")
        scores = np.asarray(result.scores)
        if self.kind == "worst_gain":
            scores = scores - np.asarray(result.baselines)
        return np.asarray(scores[draws(result.task, len(scores), self.resamples)].mean(axis=1))


@lru_cache(maxsize=64)
def draws(task: str, n: int, resamples: int, seed: int = 0) -> NDArray[np.int64]:
    """Resampled indices of `n` instances, (resamples, n): one stream per task, so tasks can come in any order."""
    return np.random.default_rng(child_seed(seed, "sweep", task)).integers(0, n, size=(resamples, n))


def _floor(floor: float | str, task: str, results: Results) -> float:
    if isinstance(floor, int | float):
        return float(floor)
    floors = []
    for result in results.values():
        if result.task == task:
            known = {**result.floors, **({} if result.baseline is None else {"baseline": result.baseline})}
            if floor not in known:
                raise ConfigError(f"sweep.floors.{task}: {floor!r} is not known; allowed: a number, {', '.join(known)}")
            floors.append(known[floor])
    # The highest over seeds: like every bound here, it must not ease as more seeds come in.
    return max(floors)

"""How much of the winner's validation minimum is luck of the draw.

Choosing the best of many settings on few instances and few trainings favours the lucky one. The bootstrap repeats
the choice on resampled instances and trainings and compares the chosen setting's minimum there with its own mean over
all resamples: the mean difference is the optimism (Efron and Tibshirani 1993, ch. 17). That the minimum of several
noisy means lies below the minimum of the true ones is in both terms and cancels: with one setting there is no choice,
and the optimism is 0.

Instances are drawn anew. Trainings are too few to be drawn: their noise is normal, with the variance that repeated
seeds of a setting on a task show, pooled. Where no setting ran with two seeds that variance is unknown and left out.

A setting that racing stopped takes part with the tasks that it ran: its minimum there is a bound from above, so with
racing the optimism is, if anything, a little too large. Without the stopped settings it would be half of the truth.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfguide.core.seeding import child_seed
from selfguide.search.objective import Objective, Results


@dataclass(frozen=True, slots=True)
class Choice:
    """How a setting is chosen: the best `finalists` by the `search` objective, of these the best by the `final` one."""

    search: Objective
    final: Objective
    finalists: int = 1


@dataclass(frozen=True, slots=True)
class Optimism:
    """The winner's minimum over tasks as measured, how much of it is expected to be luck, and its interval.

    `deciding` counts, per task, in which share of the resamples it is the winner's worst; `settings` are those that
    could be chosen. `seed_sd` is the standard deviation of a task's score between trainings, None if unknown;
    `one_training` the expected minimum over tasks when the winner is trained once, on as many fresh instances.
    """

    measured: float
    optimism: float
    low: float
    high: float
    deciding: dict[str, float]
    settings: int
    seed_sd: float | None = None
    one_training: float | None = None

    @property
    def corrected(self) -> float:
        """What the same measurement is expected to give: as many fresh instances and trainings of the same tasks.

        The minimum of the true means lies above it, by what the noise of the means pulls a minimum down.
        """
        return self.measured - self.optimism


def optimism(winner: Results, decided: Sequence[Results], tasks: Sequence[str], choice: Choice) -> Optimism | None:
    """None where jobs left no scores per instance. `decided` are all finished and stopped trials."""
    if not all(result.scores for results in decided for result in results.values()):
        return None
    final = choice.final
    candidates = [results for results in decided if choice.search.admissible(results)]
    noise = _seed_noise([*candidates, winner], final, tasks)
    drawn = [_drawn(results, tasks, choice, noise, index) for index, results in enumerate(candidates)]
    searched, confirmed = (np.stack([pair[which] for pair in drawn]) for which in (0, 1))
    chosen = _chosen(searched, confirmed, choice)
    luck = np.take_along_axis(confirmed - confirmed.mean(axis=1, keepdims=True), chosen[None], axis=0)
    means = _instance_means(winner, tasks, final)
    trainings = _trainings(noise, (len(final.seeds), *means.shape), len(candidates))
    own = means + trainings.mean(axis=0)
    minimum = own.min(axis=0)
    tail = (1 - final.confidence) / 2
    low, high = np.quantile(minimum, [tail, 1 - tail])
    expected = float(luck.mean()) if len(candidates) > 1 else 0.0
    measured = final.worst(winner, tasks)
    once = None
    if noise is not None:
        single = (means + trainings[0]).min(axis=0)
        once = measured - expected - float(minimum.mean() - single.mean())
    deciding = Counter(own.argmin(axis=0).tolist())
    return Optimism(
        measured=measured,
        optimism=expected,
        low=float(low),
        high=float(high),
        deciding={task: deciding[index] / own.shape[1] for index, task in enumerate(tasks)},
        settings=len(candidates),
        seed_sd=noise,
        one_training=once,
    )


def _seed_noise(settings: Sequence[Results], objective: Objective, tasks: Sequence[str]) -> float | None:
    """The pooled standard deviation of a task's score between the seeds of a setting; None where none ran twice."""
    squares, freedom = 0.0, 0
    for results in settings:
        for task in tasks:
            values = [objective.quantity(results[task, seed]) for seed in objective.seeds if (task, seed) in results]
            if len(values) > 1:
                squares += float(np.var(values)) * len(values)
                freedom += len(values) - 1
    return float(np.sqrt(squares / freedom)) if freedom else None


def _drawn(
    results: Results, tasks: Sequence[str], choice: Choice, noise: float | None, index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A setting's minimum over its tasks in each resample: as the search sees it, and over all seeds, (resamples,)."""
    means = _instance_means(results, tasks, choice.final)
    count = len(choice.final.seeds)
    trainings = _trainings(noise, (count, *means.shape), index)
    searched = means + trainings[: len(choice.search.seeds)].mean(axis=0)
    confirmed = means + trainings.mean(axis=0)
    return searched.min(axis=0), confirmed.min(axis=0)


def _instance_means(results: Results, tasks: Sequence[str], objective: Objective) -> NDArray[np.float64]:
    """Mean scores over resampled instances and all seeds that ran, of each task that ran: (tasks, resamples)."""
    rows = []
    for task in tasks:
        ran = [objective.resampled(results[task, seed]) for seed in objective.seeds if (task, seed) in results]
        if ran:
            rows.append(np.mean(ran, axis=0))
    return np.stack(rows)


def _trainings(noise: float | None, shape: tuple[int, int, int], index: int) -> NDArray[np.float64]:
    """What fresh trainings add: (trainings, tasks, resamples)."""
    if not noise:
        return np.zeros(shape)
    generator = np.random.default_rng(child_seed(0, "sweep trainings", index))
    return np.asarray(generator.normal(0.0, noise, shape))


def _chosen(searched: NDArray[np.float64], confirmed: NDArray[np.float64], choice: Choice) -> NDArray[np.intp]:
    """Which setting would be chosen in each resample, (resamples,); both arguments are (settings, resamples)."""
    searched, confirmed = _by_bound(searched, choice.search), _by_bound(confirmed, choice.final)
    if choice.finalists < 2:
        best: NDArray[np.intp] = searched.argmax(axis=0)
        return best
    ranks = (-searched).argsort(axis=0, kind="stable").argsort(axis=0)
    among: NDArray[np.intp] = np.where(ranks < choice.finalists, confirmed, -np.inf).argmax(axis=0)
    return among


def _by_bound(minima: NDArray[np.float64], objective: Objective) -> NDArray[np.float64]:
    """What is maximised: with `lcb` each setting's bound, which keeps its distance from the mean over the resamples.

    A bootstrap inside the bootstrap would cost too much.
    """
    if objective.kind != "lcb":
        return minima
    bounds = np.quantile(minima, 1 - objective.confidence, axis=1, keepdims=True, method="lower")
    return np.asarray(minima + bounds - minima.mean(axis=1, keepdims=True))

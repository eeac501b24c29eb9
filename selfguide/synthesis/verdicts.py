"""A judge's ratings: which rating is high enough, and how they stand to the votes. Pure."""

import itertools
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfguide.core.seeding import child_random
from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.candidates import Candidate
from selfguide.tasks.metrics import answer_in


@dataclass(frozen=True)
class Verdicts:
    """Ratings, 0 to 1, of pairs, and the `threshold` below which a judge finds them wrong.

    `accuracy`: of the threshold on right and wrong demonstrations, balanced; None: there was nothing to compare.
    """

    ratings: Mapping[Example, float]
    threshold: float
    accuracy: float | None

    def report(self, candidates: Sequence[Candidate]) -> dict[str, Any]:
        """For the result: the calibration, and whether pairs that more samples voted for are rated higher."""
        voted = {
            Example(c.input, c.output): c.share for c in candidates if c.output is not None and c.share is not None
        }
        both = [(share, self.ratings[pair]) for pair, share in voted.items() if pair in self.ratings]
        kept = [share for share, rating in both if rating >= self.threshold]
        rejected = [share for share, rating in both if rating < self.threshold]
        return {
            "threshold": self.threshold,
            "demonstrations": self.accuracy,
            "rated": len(self.ratings),
            "rejected": sum(rating < self.threshold for rating in self.ratings.values()),
            "share_of_kept": _mean(kept),
            "share_of_rejected": _mean(rejected),
            "agreement": agreement(both),
        }


def contrasts(task: TaskSpec, seed: int) -> list[Example | None]:
    """For each demonstration its input with a wrong output: another label, or the output of another demonstration."""
    outputs = sorted({*task.labels, *(shown.output for shown in task.demonstrations)})
    found: list[Example | None] = []
    for index, shown in enumerate(task.demonstrations):
        right = answer_in(task, shown.output)
        others = [output for output in outputs if answer_in(task, output) != right]
        drawn = child_random(seed, "contrast", index).choice(others) if others else None
        found.append(None if drawn is None else Example(shown.input, drawn))
    return found


def calibrated(rated: Sequence[tuple[float, bool]]) -> tuple[float, float | None]:
    """The threshold that tells right from wrong demonstrations best, and its balanced accuracy.

    Of thresholds that are as good the lowest. 0, which drops nothing, where none is better than chance.
    """
    right, wrong = ([rating for rating, is_right in rated if is_right is which] for which in (True, False))
    if not right or not wrong:
        return 0.0, None

    def accuracy(threshold: float) -> float:
        kept = sum(rating >= threshold for rating in right) / len(right)
        return (kept + sum(rating < threshold for rating in wrong) / len(wrong)) / 2

    values = sorted({rating for rating, _ in rated})
    best = max((0.0, *(sum(two) / 2 for two in itertools.pairwise(values))), key=lambda t: (accuracy(t), -t))
    return best, accuracy(best)


def agreement(rows: Sequence[tuple[float, float]]) -> float | None:
    """How often, of two rows with different shares of the votes, that with more is rated higher; a tie counts half.

    0.5 is chance; None where all shares are the same.
    """
    concordant, compared, below = 0.0, 0, list[float]()
    for _, same_share in itertools.groupby(sorted(rows), key=operator.itemgetter(0)):
        ratings = [rating for _, rating in same_share]
        concordant += sum(bisect_left(below, rating) + bisect_right(below, rating) for rating in ratings) / 2
        compared += len(ratings) * len(below)
        below = sorted([*below, *ratings])
    return concordant / compared if compared else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

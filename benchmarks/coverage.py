"""`python -m benchmarks.coverage`: how often intervals hold the truth and tests cry wolf, where the truth is known.

Prints the Markdown tables of docs/concepts/statistics.md.
"""

import numpy as np

from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import paired_gain

REPETITIONS = 1000


def single_runs() -> list[str]:
    """Two systems on the same n instances, right with probability `before` and `after`."""
    lines = ["| instances | right before | right after | interval holds the gain | p < 0.05 |", "|---|---|---|---|---|"]
    for n in (6, 12, 25, 50, 150):
        for before, after in ((0.5, 0.5), (0.9, 0.9), (0.5, 0.7)):
            generator = np.random.default_rng(n)
            held, small = 0, 0
            for _ in range(REPETITIONS):
                scores = [(generator.random(n) < share).astype(float) for share in (after, before)]
                gain = paired_gain(*scores, resamples=500)
                held += gain.ci_low - 1e-9 <= after - before <= gain.ci_high + 1e-9
                small += gain.p < 0.05
            lines.append(f"| {n} | {before} | {after} | {held / REPETITIONS:.3f} | {small / REPETITIONS:.3f} |")
    return lines


def several_seeds() -> list[str]:
    """Three tasks of 100 instances; trainings of a task differ by `sd`; no true gain."""
    lines = [
        "| seeds | sd between trainings | score interval holds | gain interval holds 0 | p < 0.05 |",
        "|---|---|---|---|---|",
    ]
    for seeds in (3, 5):
        for sd in (0.0, 0.05, 0.15):
            generator = np.random.default_rng(seeds)
            scored, held, small = 0, 0, 0
            for _ in range(REPETITIONS):
                tasks, gains = [], []
                for mean in (0.5, 0.6, 0.7):
                    share = (mean + generator.normal(0, sd, (seeds, 1))).clip(0, 1)
                    tasks.append((generator.random((seeds, 100)) < share).astype(float))
                    gains.append(tasks[-1] - (generator.random((1, 100)) < mean))
                interval, gain = crossed_interval(tasks), crossed_gain(gains, resamples=500)
                scored += interval.ci_low <= 0.6 <= interval.ci_high
                held += gain.ci_low <= 0 <= gain.ci_high
                small += gain.p < 0.05
            shares = " | ".join(f"{count / REPETITIONS:.3f}" for count in (scored, held, small))
            lines.append(f"| {seeds} | {sd} | {shares} |")
    return lines


if __name__ == "__main__":
    print("\n".join([*single_runs(), "", *several_seeds()]))

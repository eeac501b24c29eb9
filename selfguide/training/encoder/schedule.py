"""The learning rate of each step, over the steps that are really made."""

import math


def warmup_steps(fraction: float, total: int) -> int:
    """Steps in which the rate rises; always fewer than `total`."""
    return min(int(fraction * total), max(0, total - 1))


def rate(step: int, total: int, warmup: int, schedule: str) -> float:
    """The share of the peak rate at `step` (from 0). Never 0: no step is made in vain.

    It rises to 1 at step `warmup`, then falls so that it would be 0 at step `total`.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = (total - step) / (total - warmup)
    if schedule == "linear":
        return left
    return 1.0 if schedule == "constant" else (1 - math.cos(math.pi * left)) / 2

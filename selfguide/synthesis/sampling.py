"""Seeded choices of pairs. Pure."""

from collections.abc import Sequence

from selfguide.seeding import child_random
from selfguide.types import Example


def spread_over_labels(
    pairs: Sequence[Example], labels: Sequence[str], most: int | None, seed: int, *stream: str
) -> tuple[Example, ...]:
    """At most `most` pairs (None: all), in turn from each output that is a label; seeded, without repetition.

    Without labels, a plain sample. The order is random, so a prefix is itself spread.
    """
    random = child_random(seed, "spread", *stream)
    shuffled = random.sample(list(pairs), len(pairs))
    if labels:
        groups = [[pair for pair in shuffled if pair.output == label] for label in labels]
        groups.append([pair for pair in shuffled if pair.output not in labels])
        ranks = range(max(map(len, groups), default=0))
        shuffled = [group[rank] for rank in ranks for group in groups if rank < len(group)]
    return tuple(shuffled[:most])

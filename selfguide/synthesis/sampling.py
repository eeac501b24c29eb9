"""Seeded choices of pairs. Pure."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from selfguide.core.seeding import child_random
from selfguide.core.types import Example

T = TypeVar("T")


def in_turn(groups: Iterable[Sequence[T]]) -> list[T]:
    """The first of each group, then the second of each, and so on; a group that has run out is passed over."""
    groups = list(groups)
    ranks = range(max(map(len, groups), default=0))
    return [group[rank] for rank in ranks for group in groups if rank < len(group)]


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
        shuffled = in_turn(groups)
    return tuple(shuffled[:most])

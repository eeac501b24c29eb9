"""One seed, many independent streams: `child_seed(seed, "generation", round, index)`.

Every random decision names its own stream, so no result depends on the order in which
decisions are made, on batch size, or on what ran before.
"""

import hashlib
import random
from dataclasses import dataclass


def child_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`; the same on every machine and Python version."""
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def child_random(seed: int, *names: str | int) -> random.Random:
    """A `random.Random` for the stream called `names`."""
    return random.Random(child_seed(seed, *names))


@dataclass(frozen=True, slots=True)
class SeedStream:
    """A branch of the tree of seeds: the streams whose names begin with `names`.

    `SeedStream(seed, ("a",)).seed_of("b", 1)` is `child_seed(seed, "a", "b", 1)`.
    """

    root: int
    names: tuple[str | int, ...] = ()

    def child(self, *names: str | int) -> "SeedStream":
        """The branch below, called `names`."""
        return SeedStream(self.root, (*self.names, *names))

    def seed_of(self, *names: str | int) -> int:
        """The 63-bit seed of the stream called `names` on this branch."""
        return child_seed(self.root, *self.names, *names)

    def random_of(self, *names: str | int) -> random.Random:
        """A `random.Random` for the stream called `names` on this branch."""
        return random.Random(self.seed_of(*names))

"""One seed, many independent streams: `child_seed(seed, "generation", round, index)`.

Every random decision names its own stream, so no result depends on the order in which
decisions are made, on batch size, or on what ran before.
"""

import hashlib
import random


def child_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`; the same on every machine and Python version."""
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def child_random(seed: int, *names: str | int) -> random.Random:
    """A `random.Random` for the stream called `names`."""
    return random.Random(child_seed(seed, *names))

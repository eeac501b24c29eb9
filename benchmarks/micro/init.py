"""Initial weights: a few heads start out as a look-up, "find the same word before and copy what followed".

Gradient descent finds this circuit late, and nothing in-context is learned before it: on a CPU's
budget of tokens that is most of the run. A constant component of the embeddings and RoPE's own
rotations write the heads down; they are trained on like all others.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CONSTANT = 0.3
LOOK_BACK: dict[tuple[int, int], int] = {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 0): 1, (1, 1): 2}
"""(layer, head) -> how many tokens back it looks."""
GATHER = (0, 3)
"""Averages the last ten tokens or so: the words of an input, seen from the field behind it."""
MATCH = (1, 2)
"""Looks where the token two back is what is now one back: from a field behind a word to that word's earlier label."""
INDUCTION = (1, 3)
"""Looks behind earlier copies of the token itself: from a field to what earlier stood in that field."""
MATCH_GATHERED = (2, 1)
"""Looks where the gathered words are the same: to the labels of similar inputs."""
SELECT = (2, 0)
"""Looks at the recent token most like what `INDUCTION` found: the input's word that is like earlier answers."""


@torch.no_grad()
def look_up_heads(model: Any, seed: int) -> None:
    """Write the heads into a fresh Llama."""
    config = model.config
    size, width = config.head_dim, config.hidden_size
    generator = torch.Generator().manual_seed(seed)
    # Disjoint parts of the residual stream for what is one back, two back and gathered, and one way to
    # shorten a word to a head's size.
    basis = torch.linalg.qr(torch.randn(width, 7 * size // 2, generator=generator))[0].T
    one_back, two_back, gathered, half = basis.split(size)
    found = torch.zeros(size, width)
    found[_slow(size)] = half
    shorten = torch.linalg.qr(torch.randn(width, size, generator=generator))[0].T
    for matrix in (one_back, two_back, gathered, found, shorten):
        matrix[:, 0] = 0.0
    model.model.embed_tokens.weight[:, 0] = CONSTANT
    for layer in model.model.layers:  # all other heads and units start silent
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    heads = {(i, h): _Head(layer.self_attn, h, size) for i, layer in enumerate(model.model.layers) for h in range(4)}
    for position, offset in LOOK_BACK.items():
        heads[position].look_back(range(size // 4), offset, 0.5)
    heads[GATHER].look_back(range(4, 9), 5, 0.14)
    for position, target, scale in (((0, 0), one_back, 0.05), ((0, 1), two_back, 0.05), (GATHER, gathered, 0.1)):
        heads[position].move(shorten, target, scale)
    for position, query, key, scale in (
        (MATCH, one_back, two_back, 0.2),
        (INDUCTION, 1.4 * shorten, 1.2 * one_back, 0.2),
        (MATCH_GATHERED, 2.5 * gathered, 2.5 * gathered, 0.03),
        (SELECT, 1.5 * found, 1.5 * shorten, 0.1),
    ):
        heads[position].compare(1.1 * query, 1.1 * key)
        heads[position].move(shorten, shorten, scale)
    heads[INDUCTION].output += 0.1 * found.T
    heads[SELECT].look_back(range(4, 9), 5, 0.25)


def _slow(size: int) -> list[int]:
    return [row for row in range(size) if row % (size // 2) >= size // 4]


class _Head:
    """The rows of one attention head."""

    def __init__(self, attention: Any, head: int, size: int) -> None:
        self.size, self.start = size, head * size
        rows = slice(self.start, self.start + size)
        self.query, self.key = attention.q_proj.weight[rows], attention.k_proj.weight[rows]
        self.value, self.output = attention.v_proj.weight[rows], attention.o_proj.weight[:, rows]

    def look_back(self, pairs: Sequence[int], offset: int, strength: float, base: float = 10000.0) -> None:
        """Prefer tokens `offset` back: RoPE makes every pair's score cos(frequency * (distance - offset))."""
        for pair in pairs:
            frequency = base ** (-2 * pair / self.size)
            imaginary = pair + self.size // 2
            self.query[pair, 0], self.query[imaginary, 0] = strength, 0.0
            self.key[pair, 0], self.key[imaginary, 0] = (
                strength * math.cos(offset * frequency),
                strength * math.sin(offset * frequency),
            )

    def compare(self, query: Tensor, key: Tensor) -> None:
        """Prefer tokens whose `key` is the `query`, by the pairs that rotate slowly: at any distance."""
        slow = _slow(self.size)
        for weight, reads in ((self.query, query), (self.key, key)):
            weight.zero_()
            weight[slow] = reads[slow]

    def move(self, source: Tensor, target: Tensor, scale: float) -> None:
        """Write what is read at `source` to `target`."""
        self.value.copy_(source)
        self.output.copy_(scale * target.T)

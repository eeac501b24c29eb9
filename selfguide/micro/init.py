"""Initial weights: a few heads start out as a look-up, "find the same word before and copy what followed".

Gradient descent finds this circuit late, and nothing in-context is learned before it: on a CPU's
budget of tokens that is most of the run. A constant component of the embeddings and RoPE's own
rotations write the heads down; they are trained on like all others.
"""

import math
from typing import Any

import torch
from torch import Tensor

CONSTANT = 0.3
LOOK_BACK: dict[tuple[int, int], int] = {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 0): 1, (1, 1): 2}
"""(layer, head) -> how many tokens back it looks."""
MATCH = ((1, 2),)
"""Heads that look where the token before the last was what the last token is now: from a field to earlier outputs."""
INDUCTION = ((1, 3),)
"""Heads that look behind earlier copies of the token itself."""


@torch.no_grad()
def look_up_heads(model: Any, seed: int) -> None:
    """Write the heads into a fresh Llama."""
    config = model.config
    size, width = config.head_dim, config.hidden_size
    low = [
        i for i in range(size) if i % (size // 2) >= size // 4
    ]  # slowly rotating: they compare words at any distance
    generator = torch.Generator().manual_seed(seed)
    # Disjoint places in the residual stream for "one back" and "two back", and one way to shorten a word to a head's size.
    basis = torch.linalg.qr(torch.randn(width, 2 * size, generator=generator))[0].T
    one_back, two_back = basis[:size], basis[size:]
    shorten = torch.linalg.qr(torch.randn(width, size, generator=generator))[0].T
    for matrix in (one_back, two_back, shorten):
        matrix[:, 0] = 0.0
    model.model.embed_tokens.weight[:, 0] = CONSTANT
    for layer in model.model.layers:  # all other heads and units start silent
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    for (index, head), offset in LOOK_BACK.items():
        _look_back(model.model.layers[index].self_attn, head, size, offset)
    first = model.model.layers[0].self_attn
    for head, place in ((0, one_back), (1, two_back)):
        first.v_proj.weight[head * size : (head + 1) * size] = shorten
        first.o_proj.weight[:, head * size : (head + 1) * size] = 0.05 * place.T
    for index, head in (*MATCH, *INDUCTION):
        attention = model.model.layers[index].self_attn
        match = (index, head) in MATCH
        query, key = (one_back, two_back) if match else (shorten, one_back)
        _compare(attention, head, size, low, query * (1.1 if match else 1.6), key * (1.1 if match else 1.4))
        attention.v_proj.weight[head * size : (head + 1) * size] = shorten
        attention.o_proj.weight[:, head * size : (head + 1) * size] = 0.2 * shorten.T


def _look_back(attention: Any, head: int, size: int, offset: int, strength: float = 0.5, base: float = 10000.0) -> None:
    for pair in range(size // 4):
        frequency = base ** (-2 * pair / size)
        real, imaginary = head * size + pair, head * size + pair + size // 2
        # RoPE turns the score into cos(frequency * (distance - offset)): every pair peaks at `offset`.
        attention.q_proj.weight[real, 0] = strength
        attention.q_proj.weight[imaginary, 0] = 0.0
        attention.k_proj.weight[real, 0] = strength * math.cos(offset * frequency)
        attention.k_proj.weight[imaginary, 0] = strength * math.sin(offset * frequency)


def _compare(attention: Any, head: int, size: int, rows: list[int], query: Tensor, key: Tensor) -> None:
    for matrix, reads in ((attention.q_proj.weight, query), (attention.k_proj.weight, key)):
        matrix[head * size : (head + 1) * size] = 0.0
        matrix[[head * size + row for row in rows]] = reads[rows]

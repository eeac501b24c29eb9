"""Initial weights: some heads start out looking a fixed number of tokens back.

Copying a label to where its meaning matches needs heads that look at the previous tokens, and
gradient descent finds them late. A constant component of the embeddings and RoPE's own rotations
write such heads down; they are trained on like all others.
"""

import math
from typing import Any

import torch

LOOK_BACK: dict[tuple[int, int], int] = {(0, 0): 1, (0, 1): 2, (0, 2): 3, (1, 0): 1, (1, 1): 2}
"""(layer, head) -> offset."""


@torch.no_grad()
def look_back(model: Any, strength: float = 0.5, constant: float = 0.3) -> None:
    """Write the heads of `LOOK_BACK` into a fresh Llama."""
    config = model.config
    size, base = config.head_dim, 10000.0
    model.model.embed_tokens.weight[:, 0] = constant
    for (layer, head), offset in LOOK_BACK.items():
        attention = model.model.layers[layer].self_attn
        for pair in range(size // 4):
            frequency = base ** (-2 * pair / size)
            real, imaginary = head * size + pair, head * size + pair + size // 2
            # RoPE turns the score into cos(frequency * (distance - offset)): all of them peak at `offset`.
            attention.q_proj.weight[real, 0] = strength
            attention.q_proj.weight[imaginary, 0] = 0.0
            attention.k_proj.weight[real, 0] = strength * math.cos(offset * frequency)
            attention.k_proj.weight[imaginary, 0] = strength * math.sin(offset * frequency)

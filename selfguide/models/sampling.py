"""Seeded sampling: one uniform per (request seed, sample, step), inverted through the distribution.

A token depends on its own logits and its own uniform alone, so neither the other rows of a batch
nor their order can change it (beyond the rounding of the logits themselves).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from selfguide.models.base import Sampling

if TYPE_CHECKING:
    import torch


def uniforms(seed: int, sample: int, steps: int) -> np.ndarray:
    """`steps` numbers in [0, 1) for one sample of a request; the first ones do not depend on `steps`."""
    key = np.array([seed % 2**64, sample], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(steps)


def choose(
    logits: "torch.Tensor", uniform: "torch.Tensor", sampling: Sampling, allowed: Sequence[Sequence[int]] | None = None
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """The next token of each row and its log-probability under the model's own distribution.

    `logits` (rows, vocabulary), `uniform` (rows,) in [0, 1); `allowed` restricts each row to some
    token ids. Temperature comes first, then top-k, then top-p, as vLLM does.
    """
    import torch

    logits = logits.float()
    free = logits
    if allowed is not None:
        free = torch.full_like(logits, -torch.inf)
        for row, ids in enumerate(allowed):
            free[row, list(ids)] = logits[row, list(ids)]
    tokens = free.argmax(-1) if sampling.temperature == 0 else _sample(free, uniform, sampling)
    logprobs = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
    return tokens, logprobs


def _sample(logits: "torch.Tensor", uniform: "torch.Tensor", sampling: Sampling) -> "torch.Tensor":
    import torch

    ids: torch.Tensor | None = None
    if 0 < sampling.top_k < logits.shape[-1]:
        # Candidates stay in vocabulary order: by probability, two near-equal ones would swap
        # places, and with them the token, on a rounding difference.
        ids = logits.topk(sampling.top_k, dim=-1).indices.sort(-1).values
        logits = logits.gather(-1, ids)
    probabilities = torch.softmax(logits.double() / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        ordered = probabilities.sort(-1, descending=True).values
        kept = (ordered.cumsum(-1) - ordered < sampling.top_p).sum(-1, keepdim=True)
        probabilities = probabilities * (probabilities >= ordered.gather(-1, kept - 1))
    cumulative = probabilities.cumsum(-1)
    target = uniform.to(cumulative)[:, None] * cumulative[:, -1:]
    # The first position whose cumulative probability exceeds the target; rounding at the very end
    # must not pick a candidate of probability 0 behind the last real one.
    position = torch.searchsorted(cumulative, target, right=True)
    last = probabilities.shape[-1] - 1 - (probabilities.flip(-1) > 0).int().argmax(-1, keepdim=True)
    position = torch.minimum(position, last)
    return (position if ids is None else ids.gather(-1, position))[:, 0]


class ChoiceTrie:
    """The token sequences a constrained completion may take, each ended by EOS."""

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        self.longest = 0
        self._next: dict[tuple[int, ...], set[int]] = {}
        for sequence in sequences:
            self.longest = max(self.longest, len(sequence))
            for end in range(len(sequence)):
                self._next.setdefault(tuple(sequence[:end]), set()).add(sequence[end])

    def allowed(self, before: Sequence[int]) -> list[int]:
        """Token ids that may follow `before`, ascending."""
        return sorted(self._next[tuple(before)])

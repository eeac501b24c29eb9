"""The decode loop: a prefix prefilled once, rows that finish leave the batch, one token per step.

`generate` of transformers computes every row until the last one ends and every prompt from its
first token; here a batch of few-shot prompts pays for what differs only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from selfguide.models.base import Sampling
from selfguide.models.batching import Job
from selfguide.models.kv_cache import BatchCache
from selfguide.models.sampling import ChoiceTrie, choose, uniforms

if TYPE_CHECKING:
    import torch

RETIRE_BELOW = 0.85
"""Finished rows are taken out of the batch once the others are less than this share of it."""


@dataclass(slots=True)
class Row:
    """One completion in the making."""

    limit: int
    token_ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    finish: Literal["stop", "length"] | None = None

    def push(self, token: int, logprob: float, is_end: Callable[[list[int]], bool]) -> None:
        """Append a token, and settle whether it was the last."""
        self.token_ids.append(token)
        self.logprob += logprob
        if is_end(self.token_ids):
            self.finish = "stop"
        elif len(self.token_ids) >= self.limit:
            self.finish = "length"


def decode(
    model: Any,
    jobs: Sequence[Job],
    sampling: Sampling,
    is_end: Callable[[list[int]], bool],
    trie: ChoiceTrie | None = None,
) -> list[list[Row]]:
    """Complete every job's prompt `job.count` times. One list of rows for each job, in order."""
    import torch

    with torch.inference_mode():
        prompts = [job.prompt_ids for job in jobs]
        cache = BatchCache(model, prompts, 1, max(job.limit for job in jobs))
        counts = torch.tensor([job.count for job in jobs], device=cache.mask.device)
        first = torch.arange(len(jobs), device=cache.mask.device).repeat_interleave(counts)
        if len(first) > len(jobs):
            cache.select(first)
        rows = [Row(job.limit) for job in jobs for _ in range(job.count)]
        uniform = streams(jobs, sampling, cache.mask.device)
        _loop(cache, rows, uniform, sampling, is_end, trie)
    results, start = [], 0
    for job in jobs:
        results.append(rows[start : start + job.count])
        start += job.count
    return results


def score(model: Any, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[tuple[float, ...]]:
    """Log-probability of every completion token of (prompt, completion) pairs, temperature 1."""
    import torch

    longest = max(len(completion) for _, completion in pairs)
    with torch.inference_mode():
        # The last completion token predicts nothing that is asked for.
        texts = [(*prompt, *completion[:-1]) for prompt, completion in pairs]
        logits = BatchCache(model, texts, longest, 0).logits
        results: list[tuple[float, ...]] = []
        for row, (_, completion) in enumerate(pairs):
            own = logits[row, logits.shape[1] - len(completion) :].float().log_softmax(-1)
            ids = torch.tensor(completion, device=own.device)
            results.append(tuple(own.gather(-1, ids[:, None])[:, 0].tolist()))
    return results


def _loop(
    cache: BatchCache,
    rows: list[Row],
    streams: "torch.Tensor",
    sampling: Sampling,
    is_end: Callable[[list[int]], bool],
    trie: ChoiceTrie | None,
) -> None:
    import torch

    step = 0
    while True:
        # A finished row that still stands in the batch is fed its tokens and ignored.
        allowed = None if trie is None else [[0] if row.finish else trie.allowed(row.token_ids) for row in rows]
        tokens, logprobs = choose(cache.logits[:, -1], streams[:, step], sampling, allowed)
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
            if row.finish is None:
                row.push(token, logprob, is_end)
        alive = [i for i, row in enumerate(rows) if row.finish is None]
        if not alive:
            return
        if len(alive) < RETIRE_BELOW * len(rows):
            keep = torch.tensor(alive, device=tokens.device)
            rows = [rows[i] for i in alive]
            tokens, streams = tokens[keep], streams[keep]
            cache.select(keep)
        cache.read(tokens)
        step += 1


def streams(jobs: Sequence[Job], sampling: Sampling, device: "torch.device") -> "torch.Tensor":
    """Uniforms of every row (rows, steps); greedy decoding needs none."""
    import torch

    steps = max(job.limit for job in jobs)
    if sampling.temperature == 0:
        return torch.zeros((sum(job.count for job in jobs), steps), device=device)
    samples = [(job.request.seed, job.first + i) for job in jobs for i in range(job.count)]
    return torch.from_numpy(np.stack([uniforms(seed, sample, steps) for seed, sample in samples])).to(device)

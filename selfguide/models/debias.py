"""Self-debiasing (ZeroGen, arXiv 2202.07922, section 4.2): a prompt's tokens against those of its counter prompts.

Each sample is a group of rows, its own prompt first and the counter prompts after it, that read the
same sampled token at every step. Rows stay in the batch until the last sample ends.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from selfguide.models.base import Debias, Sampling
from selfguide.models.batching import Job
from selfguide.models.decoding import Row, streams
from selfguide.models.kv_cache import BatchCache
from selfguide.models.sampling import choose

if TYPE_CHECKING:
    import torch


def debiased_logits(own: "torch.Tensor", counters: "torch.Tensor", debias: Debias) -> "torch.Tensor":
    """Logits whose softmax is proportional to p · max(exp(-strength · max(q - p, 0)), floor).

    `own` (vocabulary,), `counters` (prompts, vocabulary); q is the largest over the counter prompts.
    """
    p = own.double().softmax(-1)
    q = counters.double().softmax(-1).amax(0)
    scale = (-debias.strength * (q - p).clamp(min=0)).exp().clamp(min=debias.floor)
    return own.double() + scale.log()


def decode_debiased(
    model: Any, jobs: Sequence[Job], sampling: Sampling, is_end: Callable[[list[int]], bool]
) -> list[list[Row]]:
    """As `decoding.decode`, for requests with counter prompts. Log-probabilities are the model's own."""
    import torch

    assert sampling.debias is not None
    owners = [job for job in jobs for _ in range(job.count)]
    rows = [Row(job.limit) for job in owners]
    groups = [(job.prompt_ids, *job.request.counters) for job in owners]
    # Where each sample's rows begin.
    starts = [sum(map(len, groups[:index])) for index in range(len(groups))]
    sizes = torch.tensor([len(group) for group in groups])
    prompts = [prompt for group in groups for prompt in group]
    with torch.inference_mode():
        cache = BatchCache(model, prompts, 1, max(job.limit for job in jobs))
        uniforms = streams(jobs, sampling, cache.mask.device)
        for step in range(uniforms.shape[1]):
            logits = cache.logits[:, -1]
            free = torch.stack(
                [
                    debiased_logits(logits[start], logits[start + 1 : start + len(group)], sampling.debias)
                    if len(group) > 1
                    else logits[start].double()
                    for start, group in zip(starts, groups, strict=True)
                ]
            )
            tokens, _ = choose(free, uniforms[:, step], sampling)
            own = logits[torch.tensor(starts, device=logits.device)].float().log_softmax(-1)
            logprobs = own.gather(-1, tokens[:, None])[:, 0]
            for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
                if row.finish is None:
                    row.push(token, logprob, is_end)
            if all(row.finish is not None for row in rows):
                break
            cache.read(tokens.repeat_interleave(sizes.to(tokens.device)))
    results, start = [], 0
    for job in jobs:
        results.append(rows[start : start + job.count])
        start += job.count
    return results

"""How requests are cut into batches: pure functions over lengths and ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfguide.models.base import Request

SHARED_PREFIX_MINIMUM = 16
"""Tokens below which a common prefix is not worth a forward pass of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """Samples `first` to `first + count - 1` of one request; `index` is its place in the caller's list.

    `limit` is the number of new tokens that the request may take.
    """

    index: int
    request: Request
    first: int
    count: int
    limit: int

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The request's prompt."""
        return self.request.prompt_ids


def common_prefix(prompts: Sequence[tuple[int, ...]]) -> int:
    """Length of the prefix that all prompts share, short of the last token of the shortest."""
    if len(prompts) < 2:
        return 0
    low, high = min(prompts), max(prompts)
    size = min(len(prompt) for prompt in prompts) - 1
    same = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    shared = min(size, same)
    return shared if shared >= SHARED_PREFIX_MINIMUM else 0


def plan(jobs: Sequence[Job], batch_tokens: int, repeated: bool = False) -> list[list[Job]]:
    """Batches of like length, longest first, each holding at most `batch_tokens` positions.

    What counts is what the key-value cache holds: prompt and new tokens of every sample, a prefix that the whole
    batch shares only once unless it is `repeated`. A request that alone exceeds the bound is its own batch.
    """
    if not jobs:
        return []
    prefix = 0 if repeated else common_prefix([job.prompt_ids for job in jobs])
    batches: list[list[Job]] = []
    batch: list[Job] = []
    rows = width = 0
    for job in sorted(jobs, key=lambda job: (-len(job.prompt_ids), job.index, job.first)):
        own = len(job.prompt_ids) - prefix + job.limit
        if batch and prefix + (rows + job.count) * max(width, own) > batch_tokens:
            batches.append(batch)
            batch, rows, width = [], 0, 0
        batch.append(job)
        rows, width = rows + job.count, max(width, own)
    return [*batches, batch]


def positions(jobs: Sequence[Job]) -> int:
    """What the cache of these jobs holds at most."""
    return sum(job.count for job in jobs) * max(len(job.prompt_ids) + job.limit for job in jobs)


def halve(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]] | None:
    """Two halves of a batch that was too large; a lone request is cut between its samples. None if it cannot be."""
    if len(jobs) > 1:
        middle = len(jobs) // 2
        return list(jobs[:middle]), list(jobs[middle:])
    job = jobs[0]
    if job.count < 2:
        return None
    middle = job.count // 2
    return (
        [replace(job, count=middle)],
        [replace(job, first=job.first + middle, count=job.count - middle)],
    )

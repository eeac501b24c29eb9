"""`engine=hf`: the engine contract on transformers, in this process."""

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar, cast

from selfguide.config.schema import RunConfig
from selfguide.config.serving import HFEngineConfig, ModelConfig
from selfguide.core.errors import EngineError
from selfguide.models.adapter_cache import AdapterCache
from selfguide.models.base import Completion, Progress, Request, Sampling, ScoreRequest, TokenCount, Weights
from selfguide.models.batching import Job, halve, plan, positions
from selfguide.models.debias import decode_debiased
from selfguide.models.decoding import Row, decode, score
from selfguide.models.devices import free_memory
from selfguide.models.limits import check_score, require_room
from selfguide.models.loading import check_attention, load_model, load_prompt_tokenizer, pick_device
from selfguide.models.memory import Shape, positions_that_fit
from selfguide.models.sampling import ChoiceTrie
from selfguide.models.source import context_length, model_json, resolve_model
from selfguide.models.stopping import StopStrings
from selfguide.prompts.tokenization import PromptTokenizer

log = logging.getLogger(__name__)
T = TypeVar("T")


class HFEngine:
    """Batched, seeded generation with a causal LM of transformers. Weights load on first use.

    In float32 a request's tokens do not depend on what else is in its batch. In bfloat16 the
    logits themselves are rounded differently from batch to batch, so a near-tie may fall either way.
    """

    name = "hf"

    def __init__(self, model: ModelConfig, engine: HFEngineConfig, tokenizer: PromptTokenizer | None = None) -> None:
        self.tokens = TokenCount()
        self.context_length = context_length(model)
        self._device = pick_device(engine.device)
        check_attention(engine.attention, self._device, model.dtype)
        self._batch_tokens = engine.batch_tokens
        shape, free = Shape.of(model_json(resolve_model(model), "config.json")), free_memory(self._device)
        if shape is not None and free is not None:
            self._batch_tokens = min(engine.batch_tokens, positions_that_fit(shape, free))
        self.tokenizer = tokenizer or load_prompt_tokenizer(model)
        self._adapters = AdapterCache(
            lambda folder: load_model(model, device=self._device, attention=engine.attention, folder=folder)
        )
        self._warned = False

    @classmethod
    def from_config(cls, config: RunConfig) -> "HFEngine":
        """The engine of a run."""
        return cls(config.model, cast(HFEngineConfig, config.engine))

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`."""
        tries = {choices: self._trie(choices) for choices in {r.sampling.choices for r in requests} if choices}
        jobs = [
            Job(i, request, 0, request.sampling.n, self._limit(request, tries.get(request.sampling.choices)))
            for i, request in enumerate(requests)
        ]
        results: list[list[Completion]] = [[] for _ in requests]
        for (weights, sampling), group in _groups(jobs, lambda job: (job.request.weights, job.request.sampling)):
            stopper = StopStrings(self.tokenizer.tokenizer, () if sampling.choices else sampling.stop)
            for batch in self._batches(group):
                with self._adapters.use(weights) as model:
                    rows = self._decode(model, batch, sampling, stopper, tries.get(sampling.choices))
                for job, job_rows in zip(batch, rows, strict=True):
                    results[job.index] = [self._completion(row, stopper) for row in job_rows]
                    self.tokens.count_answers(job.request, results[job.index])
                if progress is not None:
                    progress(len(batch))
        return results

    def model(self, weights: Weights | None = None) -> AbstractContextManager[Any]:
        """The transformers model that answers with these weights, for the length of a `with` block."""
        return self._adapters.use(weights)

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """See `Engine.score`."""
        results: list[tuple[float, ...]] = [() for _ in requests]
        jobs = []
        for i, request in enumerate(requests):
            check_score(request, self.context_length)
            if request.completion_ids:
                text = (*request.prompt_ids, *request.completion_ids[:-1])
                jobs.append(Job(i, Request(text, Sampling(1), weights=request.weights), 0, 1, 0))
        for weights, group in _groups(jobs, lambda job: job.request.weights):
            for batch in self._batches(group):
                with self._adapters.use(weights) as model:
                    scored = self._halving(batch, partial(_score, model, requests))
                for job, values in zip(batch, scored, strict=True):
                    results[job.index] = values
                    self.tokens.count_scores([requests[job.index]])
        return results

    def close(self) -> None:
        """Drop the weights and give device memory back; the engine loads them again if it is used."""
        self._adapters.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _limit(self, request: Request, trie: ChoiceTrie | None) -> int:
        """New tokens this request may take; `PromptTooLongError` if there is no room."""
        need = 1 if trie is None else trie.longest
        room = require_room(request, need, self.context_length)
        for counter in request.counters if request.sampling.debias else ():
            room = min(room, require_room(replace(request, prompt_ids=counter), need, self.context_length))
        return need if trie is not None else min(request.sampling.max_new_tokens, room)

    def _trie(self, choices: tuple[str, ...]) -> ChoiceTrie:
        return ChoiceTrie(self.tokenizer.encode_answer(choice) for choice in choices)

    def _decode(
        self, model: Any, batch: list[Job], sampling: Sampling, stopper: StopStrings, trie: ChoiceTrie | None
    ) -> list[list[Row]]:
        ends = self.tokenizer.stop_ids

        def is_end(token_ids: list[int]) -> bool:
            return token_ids[-1] in ends or stopper.hit(token_ids)

        def run(part: list[Job]) -> list[list[Row]]:
            if sampling.debias is None:
                return decode(model, part, sampling, is_end, trie)
            return decode_debiased(model, part, sampling, is_end)

        parts = self._halving(batch, lambda part: list(zip(part, run(part), strict=True)))
        # A request cut between its samples by `halve` comes back in parts, in order.
        rows: dict[int, list[Row]] = {job.index: [] for job in batch}
        for job, job_rows in parts:
            rows[job.index] += job_rows
        return [rows[job.index] for job in batch]

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Planned again after a batch ran out of memory. A GPU holds a shared prefix once for every row."""
        left, on_gpu = list(jobs), self._device != "cpu"
        while left:
            allowed = self._batch_tokens
            for batch in plan(left, allowed, repeated=on_gpu):
                yield batch
                taken = set(map(id, batch))
                left = [job for job in left if id(job) not in taken]
                if self._batch_tokens < allowed:
                    break

    def _halving(self, batch: list[Job], run: Callable[[list[Job]], list[T]]) -> list[T]:
        """Run a batch, in halves of halves if the device's memory asks for it."""
        failure: str | None = None
        try:
            return run(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            failure = str(error).splitlines()[0][:120]
        # Outside the handler: the exception's frames would keep the tensors alive.
        _free()
        halves = halve(batch)
        if halves is None:
            raise EngineError(f"out of memory on {self._device} with one prompt of {len(batch[0].prompt_ids)} tokens")
        self._batch_tokens = max(1, min(self._batch_tokens, positions(batch)) // 2)
        if not self._warned:
            log.warning("out of memory (%s): halving the batches from now on (engine.batch_tokens)", failure)
            self._warned = True
        return [*self._halving(halves[0], run), *self._halving(halves[1], run)]

    def _completion(self, row: Row, stopper: StopStrings) -> Completion:
        text = stopper.cut(self.tokenizer.decode(row.token_ids)).strip()
        return Completion(text, tuple(row.token_ids), row.logprob, row.finish or "length")


def _score(model: Any, requests: Sequence[ScoreRequest], jobs: list[Job]) -> list[tuple[float, ...]]:
    return score(model, [(requests[job.index].prompt_ids, requests[job.index].completion_ids) for job in jobs])


def _groups(jobs: Iterable[Job], key: Callable[[Job], T]) -> list[tuple[T, list[Job]]]:
    """Jobs by key, in order of first appearance; weights come first in the key, so adapters stay together."""
    groups: dict[T, list[Job]] = {}
    for job in jobs:
        groups.setdefault(key(job), []).append(job)
    return list(groups.items())


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or main memory, had no room for a tensor."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


def _free() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

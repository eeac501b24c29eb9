"""`engine=vllm`: the engine contract on vLLM, one start per process, many adapters in one batch."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Self, cast

from selfguide.config.schema import RunConfig
from selfguide.config.serving import VLLMEngineConfig
from selfguide.core.errors import EngineError, RequestError
from selfguide.models.base import Completion, Progress, Request, ScoreRequest, TokenCount, Weights
from selfguide.models.limits import check_score, new_tokens
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.source import context_length, weights_folder
from selfguide.models.vllm_process import base_beside_adapters, reloads_in_place, start, stop
from selfguide.models.vllm_requests import MAX_CANDIDATES, Place, Translator, passes, places_to_score

log = logging.getLogger(__name__)


class VLLMEngine:
    """vLLM with token ids in and out. Starts when it is first asked something.

    Base model and adapters share one stream of requests (without a GPU: one each), each with its own
    seed. Weights of kind "full" are loaded in place of the base model's, which come back when next asked.
    """

    name = "vllm"

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._settings = cast(VLLMEngineConfig, config.engine)
        self.context_length = context_length(config.model)
        self.tokens = TokenCount()
        self._tokenizer = load_prompt_tokenizer(config.model)
        self._translate = Translator(self._tokenizer)
        self._core: Any = None
        self._adapter_ids: dict[str, int] = {}
        self._ids = count()
        self._loaded: str | None = None  # name of the full weights in the engine; None: the base
        self._asleep = False

    @classmethod
    def from_config(cls, config: RunConfig) -> "VLLMEngine":
        """The engine of this run, not yet started."""
        return cls(config)

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`."""
        limits = [self._limit(request) for request in requests]
        results: list[list[Completion]] = [[] for _ in requests]
        with self._answering():
            for group in passes([request.weights for request in requests], base_beside_adapters()):
                self._place(requests[group[0]].weights)
                for i in group:
                    self.submit(i, requests[i], limits[i])
                for i, output in self._outputs():
                    results[i] = self.finished(requests[i], output)
                    if progress is not None:
                        progress(1)
        return results

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """See `Engine.score`."""
        for request in requests:
            check_score(request, self.context_length)
        asked = [
            (place, tokens[start : start + MAX_CANDIDATES])
            for place, tokens in places_to_score(requests).items()
            for start in range(0, len(tokens), MAX_CANDIDATES)
        ]
        found: dict[tuple[Place, int], float] = {}
        with self._answering():
            weights = [place.weights for place, _ in asked]
            for group in passes(weights, base_beside_adapters()):
                self._place(weights[group[0]])
                for i in group:
                    place, tokens = asked[i]
                    self._add(i, *self._translate.next_token(place.before, tokens), place.weights)
                for i, output in self._outputs():
                    place, tokens = asked[i]
                    logprobs = output.outputs[0].logprobs[0]
                    found.update(((place, token), float(logprobs[token].logprob)) for token in tokens)
        self.tokens.count_scores(requests)
        return [
            tuple(
                found[Place(request.weights, (*request.prompt_ids, *request.completion_ids[:i])), token]
                for i, token in enumerate(request.completion_ids)
            )
            for request in requests
        ]

    def sleep(self) -> None:
        """Give most of the device's memory to the training (`engine.lifetime=sleep`); the next request wakes it."""
        if self._core is not None and not self._asleep:
            self._core.sleep(level=1)
            self._asleep = True

    def close(self) -> None:
        """Stop the engine and give the device back; it starts again if it is used."""
        if self._core is not None:
            core, self._core = self._core, None
            stop(core)
        self._adapter_ids.clear()
        self._loaded, self._asleep = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What the streaming schedule uses: one request at a time, one engine step at a time.

    def submit(self, key: int, request: Request, limit: int | None = None, every: int | None = None) -> None:
        """Put a request into the running engine. `every`: report progress each so many tokens."""
        limit = self._limit(request) if limit is None else limit
        prompt, params = self._translate.sample(request, limit, every)
        self._add(key, prompt, params, request.weights)

    def step(self) -> Iterator[tuple[int, Any]]:
        """One step of the engine: (key, vLLM's output) of the requests that have something to report."""
        with self._in_vllm():
            outputs = self._core.step()
        for output in outputs:
            yield int(output.request_id.split("-", 1)[0]), output

    def finished(self, request: Request, output: Any) -> list[Completion]:
        """The completions of a finished request, counted."""
        completions = self._translate.completions(request, output)
        self.tokens.count_answers(request, completions)
        return completions

    @contextmanager
    def stream(self) -> "Iterator[VLLMStream]":
        """Requests one by one instead of in batches, for the base model."""
        with self._answering():
            self._place(None)
            yield VLLMStream(self)

    def _outputs(self) -> Iterator[tuple[int, Any]]:
        while self._core.has_unfinished_requests():
            yield from ((key, output) for key, output in self.step() if output.finished)

    def _add(self, key: int, prompt: Any, params: Any, weights: Weights | None) -> None:
        adapter = self._adapter(weights)
        with self._in_vllm():
            self._core.add_request(f"{key}-{next(self._ids)}", prompt, params, lora_request=adapter)

    def _adapter(self, weights: Weights | None) -> Any:
        if weights is None or weights.kind == "full":
            return None
        from vllm.lora.request import LoRARequest

        if self._config.finetuning.kind != "lora":
            raise RequestError(f"adapter {weights.name}: the engine serves adapters only with finetuning.kind=lora")
        if not (weights.path / "adapter_config.json").exists():
            raise RequestError(f"adapter {weights.name}: {weights.path} holds no adapter_config.json")
        # The name is a content hash: the prefix cache is keyed by it.
        number = self._adapter_ids.setdefault(weights.name, len(self._adapter_ids) + 1)
        return LoRARequest(weights.name, number, str(weights.path))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """The engine running and awake. An error leaves no request behind in it, whoever raised it."""
        try:
            if self._core is None:
                self._core = start(self._config, self.context_length)
            if self._asleep:
                with self._in_vllm():
                    self._core.wake_up()
                    self._core.reset_prefix_cache()
                self._asleep = False
            yield
        except Exception:
            self._abort()
            raise
        except BaseException:
            self.close()  # interrupted, perhaps in the middle of a step
            raise

    @contextmanager
    def _in_vllm(self) -> Iterator[None]:
        """Whatever breaks in vLLM itself becomes one line, and the engine is stopped."""
        try:
            yield
        except Exception as error:
            self.close()
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise EngineError(f"vLLM failed: {type(error).__name__}: {first[:300]}") from error

    def _abort(self) -> None:
        if self._core is not None and self._core.has_unfinished_requests():
            self.close()

    def _place(self, weights: Weights | None) -> None:
        """Make the engine's own weights the base model's, or those of a full finetuning."""
        wanted = weights.name if weights is not None and weights.kind == "full" else None
        if wanted == self._loaded:
            return
        folder = weights.path if weights is not None and wanted is not None else weights_folder(self._config.model)
        if reloads_in_place():
            with self._in_vllm():
                self._core.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
                self._core.reset_prefix_cache()
        else:
            self.close()
            self._core = start(self._config, self.context_length, folder)
        self._loaded = wanted

    def _limit(self, request: Request) -> int:
        return new_tokens(request, self._tokenizer, self.context_length)


class VLLMStream:
    """Requests under way in the engine, for `selfguide.synthesis.streaming`."""

    PROGRESS_EVERY = 4

    def __init__(self, engine: VLLMEngine) -> None:
        self._engine = engine
        self._requests: dict[int, Request] = {}

    def submit(self, key: int, request: Request) -> None:
        """Start a request (one sample); it is in the next step."""
        assert request.sampling.n == 1
        self._requests[key] = request
        self._engine.submit(key, request, every=self.PROGRESS_EVERY)

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        """(key, tokens so far, the completion once it is finished) of requests with news."""
        for key, output in self._engine.step():
            if not output.finished:
                yield key, len(output.outputs[0].token_ids), None
                continue
            request = self._requests.pop(key)
            [completion] = self._engine.finished(request, output)
            yield key, len(completion.token_ids), completion

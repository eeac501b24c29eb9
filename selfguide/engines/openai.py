"""`engine=openai`: the engine contract on any OpenAI-compatible server, `vllm serve` for one."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, as_completed, wait
from typing import Self, TypeVar, cast

from selfguide.config.schema import OpenAIEngineConfig, RunConfig
from selfguide.engines.base import Completion, Progress, Request, ScoreRequest, TokenCount, Weights
from selfguide.engines.limits import check_score, new_tokens
from selfguide.engines.openai_dialects import VLLMDialect, dialect_named
from selfguide.engines.openai_http import Endpoint
from selfguide.engines.vllm_requests import MAX_CANDIDATES, Place, places_to_score
from selfguide.errors import EngineError, RequestError
from selfguide.models import context_length, load_prompt_tokenizer, resolve_model

T = TypeVar("T")
ALREADY_LOADED = 400


class OpenAIEngine:
    """Requests over HTTP, `engine.concurrency` at a time. Tokenizer and context length are `model.path`'s."""

    name = "openai"

    def __init__(self, config: RunConfig) -> None:
        self._settings = cast(OpenAIEngineConfig, config.engine)
        self.context_length = context_length(config.model)
        self.tokens = TokenCount()
        self._tokenizer = load_prompt_tokenizer(config.model)
        self._dialect = dialect_named(self._settings.dialect, self._tokenizer)
        self._model = self._settings.model or resolve_model(config.model).location
        self._endpoint: Endpoint | None = None
        self._loaded: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_config(cls, config: RunConfig) -> "OpenAIEngine":
        """The engine of this run; nothing is sent yet."""
        return cls(config)

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`. Raises `EngineError` before sending anything once the token budget is spent."""
        limits = [self._limit(request) for request in requests]
        bodies = [self._dialect.body(request, limit) for request, limit in zip(requests, limits, strict=True)]
        models = self._models([request.weights for request in requests])

        def ask(i: int) -> list[Completion]:
            answer = self._server.post(self._dialect.path, {"model": models[i], **bodies[i]})
            made = self._dialect.completions(requests[i], answer)
            greedy = requests[i].sampling.temperature == 0
            return made * requests[i].sampling.n if greedy else made

        results = self._all(ask, len(requests), progress)
        for request, completions in zip(requests, results, strict=True):
            self.tokens.count_answers(request, completions)
        return results

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """See `Engine.score`; needs `engine.dialect=vllm`."""
        if not requests:
            return []
        dialect = self._dialect
        if not isinstance(dialect, VLLMDialect):
            raise EngineError(f"engine.dialect={self._settings.dialect} gives no scores; engine.dialect=vllm does")
        for request in requests:
            check_score(request, self.context_length)
        asked = [
            (place, tokens[start : start + MAX_CANDIDATES])
            for place, tokens in places_to_score(requests).items()
            for start in range(0, len(tokens), MAX_CANDIDATES)
        ]
        models = self._models([place.weights for place, _ in asked])

        def ask(i: int) -> dict[int, float]:
            place, tokens = asked[i]
            answer = self._server.post("completions", {"model": models[i], **dialect.next_token(place.before, tokens)})
            return dialect.candidates(answer)

        found: dict[Place, dict[int, float]] = {}
        for (place, _), scores in zip(asked, self._all(ask, len(asked), None), strict=True):
            found.setdefault(place, {}).update(scores)
        self.tokens.count_scores(requests)
        return [
            tuple(
                found[Place(request.weights, (*request.prompt_ids, *request.completion_ids[:i]))][token]
                for i, token in enumerate(request.completion_ids)
            )
            for request in requests
        ]

    def close(self) -> None:
        """Close the connections; the server goes on."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def _server(self) -> Endpoint:
        with self._lock:
            if self._endpoint is None:
                self._endpoint = Endpoint(self._settings)
            return self._endpoint

    def _all(self, ask: Callable[[int], T], count: int, progress: Progress | None) -> list[T]:
        """`ask(i)` for each i, several at a time, in order; the first failure stops the others."""
        if count == 0:
            return []
        self._check_budget()
        server = self._server
        with ThreadPoolExecutor(min(self._settings.concurrency, count)) as threads:
            futures: list[Future[T]] = [threads.submit(ask, i) for i in range(count)]
            try:
                for future in as_completed(futures):
                    future.result()
                    if progress is not None:
                        progress(1)
            except BaseException:
                server.cancel()
                for future in futures:
                    future.cancel()
                wait(futures, return_when=FIRST_EXCEPTION)
                raise
            finally:
                threads.shutdown(wait=True, cancel_futures=True)
                server.resume()
        return [future.result() for future in futures]

    def _check_budget(self) -> None:
        budget, spent = self._settings.token_budget, self.tokens.prompt + self.tokens.generated
        if budget is not None and spent >= budget:
            raise EngineError(
                f"engine.token_budget: {spent} of {budget} tokens are spent; what was finished is kept, "
                "and the same command goes on with a new budget"
            )

    def _models(self, weights: Sequence[Weights | None]) -> list[str]:
        """The name each request is sent to; adapters the server has not got yet are loaded first."""
        for own in {w.name: w for w in weights if w is not None}.values():
            if own.name not in self._loaded:
                self._load(own)
        return [self._model if own is None else own.name for own in weights]

    def _load(self, weights: Weights) -> None:
        if weights.kind == "full":
            raise RequestError("engine=openai serves adapters, not full weights; engine=vllm does")
        if not (weights.path / "adapter_config.json").exists():
            raise RequestError(f"adapter {weights.name}: {weights.path} holds no adapter_config.json")
        body = {"lora_name": weights.name, "lora_path": str(weights.path.resolve())}
        try:
            answer = self._server.post("load_lora_adapter", body, accept=(ALREADY_LOADED,))
        except EngineError as error:
            if "HTTP 404" not in str(error):
                raise
            raise EngineError(
                f"adapter {weights.name}: the server loads no adapters; start it with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
            ) from error
        if isinstance(answer, dict) and "error" in answer:
            said = str(answer["error"].get("message", answer["error"]))
            # The name is the content's hash: whoever loaded it, it is the same adapter.
            if "already been loaded" not in said:
                raise RequestError(f"adapter {weights.name}: {' '.join(said.split())[:300]}")
        self._loaded.add(weights.name)

    def _limit(self, request: Request) -> int:
        return new_tokens(request, self._tokenizer, self.context_length)

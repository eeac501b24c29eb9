"""`engine=openai`: the engine contract on any OpenAI-compatible server, `vllm serve` for one."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from selfguide.config.schema import OpenAIEngineConfig, RunConfig
from selfguide.core.errors import EngineError, RequestError
from selfguide.models.base import Completion, Progress, Request, ScoreRequest, TokenCount, Weights
from selfguide.models.build import engine_identity
from selfguide.models.limits import check_score, new_tokens
from selfguide.models.loading import context_length, load_prompt_tokenizer, model_identity, resolve_model
from selfguide.models.openai_crew import Crew
from selfguide.models.openai_dialects import VLLMDialect, dialect_named
from selfguide.models.openai_http import Endpoint
from selfguide.models.openai_unfinished import Unfinished
from selfguide.models.vllm_requests import MAX_CANDIDATES, Place, places_to_score

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
        self._spent = 0  # tokens of requests that were sent; `tokens` also counts answers found again
        self._unfinished = Unfinished(
            Path(config.store.root).expanduser() / "unfinished",
            lambda: f"{engine_identity(config.engine)} {model_identity(config.model)}",
        )

    @classmethod
    def from_config(cls, config: RunConfig) -> "OpenAIEngine":
        """The engine of this run; nothing is sent yet."""
        return cls(config)

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`. Raises `EngineError` when the token budget is spent.

        If it breaks off, answers that have come are found again by the next call with the same requests.
        """
        bodies = [self._body(r.weights, self._dialect.body(r, self._limit(r))) for r in requests]
        answers: dict[int, list[Completion]] = {}

        def note(i: int, answer: list[Completion]) -> None:
            answers[i] = answer
            self.tokens.count_answers(requests[i], _samples(requests[i], answer))
            if progress is not None:
                progress(1)

        def arrived(i: int, answer: list[Completion]) -> None:
            self._spent += len(requests[i].prompt_ids) + sum(len(one.token_ids) for one in answer)
            note(i, answer)

        def ask(server: Endpoint, i: int) -> list[Completion]:
            answer = server.post(self._dialect.path, bodies[i])
            return self._read(server, answer, lambda: self._dialect.completions(requests[i], answer))

        for i, body in enumerate(bodies):
            if (found := self._unfinished.find(body)) is not None:
                note(i, found)
        again = list(answers)
        pending = [i for i in range(len(requests)) if i not in answers]
        try:
            self._all(ask, pending, arrived, [requests[i].weights for i in pending])
        except BaseException:
            for i in answers.keys() - set(again):
                self._unfinished.keep(bodies[i], answers[i])
            raise
        for i in again:
            self._unfinished.forget(bodies[i])
        return [_samples(request, answers[i]) for i, request in enumerate(requests)]

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
        found: dict[Place, dict[int, float]] = {}

        def arrived(i: int, scores: dict[int, float]) -> None:
            place, _ = asked[i]
            self._spent += len(place.before) + 1
            found.setdefault(place, {}).update(scores)

        def ask(server: Endpoint, i: int) -> dict[int, float]:
            place, tokens = asked[i]
            answer = server.post("completions", self._body(place.weights, dialect.next_token(place.before, tokens)))
            return self._read(server, answer, lambda: dialect.candidates(answer))

        self._all(ask, range(len(asked)), arrived, [place.weights for place, _ in asked])
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
        if self._endpoint is None:
            self._endpoint = Endpoint(self._settings)
        return self._endpoint

    def _all(
        self,
        ask: Callable[[Endpoint, int], T],
        places: Sequence[int],
        arrived: Callable[[int, T], None],
        weights: Iterable[Weights | None],
    ) -> None:
        """`arrived(i, ask(server, i))` for each place, several at a time, in the order of the answers.

        The first failure, or a spent budget, ends it once the others under way have come; an interrupt at once.
        """
        if not places:
            return
        self._check_budget()
        self._load_adapters(weights)
        server = self._server
        failures: list[BaseException] = []
        ended = 0
        try:
            with Crew(lambda i: ask(server, i), min(self._settings.concurrency, len(places))) as crew:
                try:
                    for i, call in crew.outcomes(places, lambda: not failures and not self._budget_spent()):
                        ended += 1
                        if (error := call.exception()) is None:
                            arrived(i, call.result())
                        else:
                            failures.append(error)
                            server.stop()
                except BaseException:
                    server.cancel()
                    raise
            if failures:
                raise failures[0]
        except BaseException:
            self._endpoint = None
            server.close()
            raise
        if ended < len(places):
            self._check_budget()

    def _read(self, server: Endpoint, answer: Any, read: Callable[[], T]) -> T:
        try:
            return read()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            problem = server.shown(f"{type(error).__name__}: {error}")
            raise EngineError(
                f"engine.dialect: {self._settings.dialect} does not fit this server's answer ({problem}): "
                f"{server.shown(str(answer))}; allowed: vllm for `vllm serve`, completions or chat for others"
            ) from None

    def _budget_spent(self) -> bool:
        return self._settings.token_budget is not None and self._spent >= self._settings.token_budget

    def _check_budget(self) -> None:
        if self._budget_spent():
            raise EngineError(
                f"engine.token_budget: {self._spent} of {self._settings.token_budget} tokens are spent; what was "
                "finished is kept, and the same command goes on with a new budget"
            )

    def _body(self, weights: Weights | None, content: dict[str, Any]) -> dict[str, Any]:
        return {"model": self._model if weights is None else weights.name, **content}

    def _load_adapters(self, weights: Iterable[Weights | None]) -> None:
        """Those that the server has not got yet."""
        for own in {w.name: w for w in weights if w is not None}.values():
            if own.name not in self._loaded:
                self._load(own)

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
            told = answer["error"]
            said = str(told.get("message", told) if isinstance(told, dict) else told)
            # The name is the content's hash: whoever loaded it, it is the same adapter.
            if "already been loaded" not in said:
                raise RequestError(f"adapter {weights.name}: {self._server.shown(said)}")
        self._loaded.add(weights.name)

    def _limit(self, request: Request) -> int:
        return new_tokens(request, self._tokenizer, self.context_length)


def _samples(request: Request, answer: list[Completion]) -> list[Completion]:
    # One greedy sample is asked for: the others would be the same.
    return answer * request.sampling.n if request.sampling.temperature == 0 else answer

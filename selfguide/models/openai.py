"""`engine=openai`: the engine contract on any OpenAI-compatible server, `vllm serve` for one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar, cast

from pydantic import ValidationError

from selfguide.config.schema import RunConfig
from selfguide.config.serving import OpenAIEngineConfig
from selfguide.core.errors import EngineError, RequestError
from selfguide.core.paths import expanded
from selfguide.models.base import Completion, Progress, Request, ScoreRequest, TokenCount, Weights
from selfguide.models.build import engine_identity
from selfguide.models.limits import check_score, new_tokens
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.openai_chat import ChatDialect, room_left, too_long
from selfguide.models.openai_dialects import Dialect, PlainDialect, VLLMDialect
from selfguide.models.openai_http import Endpoint, error_message
from selfguide.models.openai_unfinished import Unfinished
from selfguide.models.source import context_length, model_identity, model_json, resolve_model
from selfguide.models.vllm_requests import MAX_CANDIDATES, Position, positions_to_score
from selfguide.prompts.tokenization import PromptTokenizer

T = TypeVar("T")
ALREADY_LOADED = 400


class OpenAIEngine:
    """Requests over HTTP, `engine.concurrency` at a time.

    Tokenizer and context length are `model.path`'s; with `dialect=chat` the server's, and `model.path` is a name.
    """

    name = "openai"

    def __init__(self, config: RunConfig) -> None:
        self._settings = cast(OpenAIEngineConfig, config.engine)
        self.context_length = context_length(config.model)
        self.tokens = TokenCount()
        self._tokenizer: PromptTokenizer | None = None
        self._dialect: Dialect = ChatDialect()
        if self._settings.dialect == "chat":
            self._model = self._settings.model or config.model.path
        else:
            self._tokenizer = load_prompt_tokenizer(config.model)
            source = resolve_model(config.model)
            self._model = self._settings.model or source.location
            vocabulary = model_json(source, "config.json").get("vocab_size") or 0
            vllm = self._settings.dialect == "vllm"
            self._dialect = VLLMDialect(self._tokenizer, vocabulary) if vllm else PlainDialect(self._tokenizer)
        self._endpoint: Endpoint | None = None
        self._loaded: set[str] = set()
        self._spent = 0  # tokens of requests that were sent; `tokens` also counts answers found again
        self._unfinished = Unfinished(
            expanded(config.store.root, "store.root") / "unfinished",
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
        limits = [self._limit(request) for request in requests]
        bodies = [
            self._body(request.weights, self._dialect.body(request, limit))
            for request, limit in zip(requests, limits, strict=True)
        ]
        answers: dict[int, list[Completion]] = {}

        def note(i: int, answer: list[Completion]) -> None:
            answers[i] = answer
            self.tokens.count_answers(requests[i], _samples(requests[i], answer))
            if progress is not None:
                progress(1)

        async def ask(server: Endpoint, i: int) -> None:
            reply = await self._reply(server, bodies[i])
            answer = []
            if reply is not None:
                with self._reading(server, reply):
                    answer = self._dialect.completions(requests[i], limits[i], reply)
            spent = TokenCount()
            spent.count_answers(requests[i], answer)
            self._spent += spent.prompt + spent.generated
            note(i, answer)

        for i, body in enumerate(bodies):
            if (answer := self._unfinished.find(body)) is not None:
                note(i, answer)
        again = list(answers)
        pending = [i for i in range(len(requests)) if i not in answers]
        try:
            self._ask_all(ask, pending, [requests[i].weights for i in pending])
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
        questions = [
            (position, tokens[start : start + MAX_CANDIDATES])
            for position, tokens in positions_to_score(requests).items()
            for start in range(0, len(tokens), MAX_CANDIDATES)
        ]
        scores: dict[Position, dict[int, float]] = {}

        async def ask(server: Endpoint, i: int) -> None:
            position, candidates = questions[i]
            body = self._body(position.weights, dialect.next_token(position.before, candidates))
            reply = await server.post(dialect.path, body)
            with self._reading(server, reply):
                scores.setdefault(position, {}).update(dialect.candidates(candidates, reply))
            self._spent += len(position.before) + 1

        self._ask_all(ask, range(len(questions)), [position.weights for position, _ in questions])
        self.tokens.count_scores(requests)
        return [
            tuple(
                scores[Position(request.weights, (*request.prompt_ids, *request.completion_ids[:i]))][token]
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

    def _limit(self, request: Request) -> int:
        """New tokens at most; of turns as many as asked for, as their server alone counts."""
        if self._tokenizer is not None:
            return new_tokens(request, self._tokenizer, self.context_length)
        return request.sampling.max_new_tokens

    async def _reply(self, server: Endpoint, body: dict[str, Any]) -> bytes | None:
        """The reply; None where the server says that its context has no room for these turns.

        One that refuses the sum of prompt and `max_tokens` is asked for what it has room for.
        """
        try:
            return await server.post(self._dialect.path, body)
        except RequestError as error:
            problem = str(error)
            if self._tokenizer is not None or not too_long(problem):
                raise
        left = room_left(problem, body["max_tokens"])
        return await self._reply(server, {**body, "max_tokens": left}) if 0 < left < body["max_tokens"] else None

    def _ask_all(
        self, ask: Callable[[Endpoint, int], Awaitable[None]], indices: Sequence[int], weights: Iterable[Weights | None]
    ) -> None:
        """`ask(server, i)` for each index, `engine.concurrency` at a time.

        The first failure, or a spent budget, ends it once the others under way have come; an interrupt at once.
        """
        if not indices:
            return
        self._check_budget()
        if self._endpoint is None:
            self._endpoint = Endpoint(self._settings)
        server = self._endpoint
        waiting = iter(indices)
        failures: list[EngineError] = []

        async def worker() -> None:
            while not failures and not self._budget_spent() and (i := next(waiting, None)) is not None:
                try:
                    await ask(server, i)
                except EngineError as error:
                    failures.append(error)
                    server.stop()

        async def workers() -> None:
            await self._load_adapters(server, weights)
            await asyncio.gather(*(worker() for _ in range(min(self._settings.concurrency, len(indices)))))

        try:
            server.run(workers())
            if failures:
                raise failures[0]
        except BaseException:
            self._endpoint = None
            server.close()
            raise
        if next(waiting, None) is not None:
            self._check_budget()

    @contextmanager
    def _reading(self, server: Endpoint, reply: bytes) -> Iterator[None]:
        """A reply that the block cannot read becomes one line that quotes it."""
        try:
            yield
        except ValueError as error:
            problem = str(error)
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False, include_input=False)[0]
                problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise EngineError(
                f"engine.dialect: {self._settings.dialect} does not fit this server's answer "
                f"({server.quoted(problem)}): {server.quoted(reply.decode(errors='replace'))}; "
                "allowed: vllm for `vllm serve`, completions or chat for others"
            ) from None

    def _budget_spent(self) -> bool:
        return self._settings.token_budget is not None and self._spent >= self._settings.token_budget

    def _check_budget(self) -> None:
        if self._budget_spent():
            raise EngineError(
                f"engine.token_budget: {self._spent} of {self._settings.token_budget} tokens are spent; finished "
                "work is kept, and the same command with a larger budget continues"
            )

    def _body(self, weights: Weights | None, content: dict[str, Any]) -> dict[str, Any]:
        return {"model": self._model if weights is None else weights.name, **content}

    async def _load_adapters(self, server: Endpoint, weights: Iterable[Weights | None]) -> None:
        """Those that the server has not got yet."""
        for adapter in {w.name: w for w in weights if w is not None}.values():
            if adapter.name not in self._loaded:
                await _load(server, adapter)
                self._loaded.add(adapter.name)


async def _load(server: Endpoint, weights: Weights) -> None:
    if weights.kind == "full":
        raise RequestError("engine=openai serves adapters, not full weights; engine=vllm does")
    if not (weights.path / "adapter_config.json").exists():
        raise RequestError(f"adapter {weights.name}: {weights.path} holds no adapter_config.json")
    body = {"lora_name": weights.name, "lora_path": str(weights.path.resolve())}
    try:
        reply = await server.post("load_lora_adapter", body, accept=(ALREADY_LOADED,))
    except EngineError as error:
        if "HTTP 404" not in str(error):
            raise
        raise EngineError(
            f"adapter {weights.name}: the server loads no adapters; start it with --enable-lora and "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
        ) from error
    # The name is the content's hash: whoever loaded it, it is the same adapter.
    if b'"error"' in reply and "already been loaded" not in (said := error_message(reply)):
        raise RequestError(f"adapter {weights.name}: {server.quoted(said)}")


def _samples(request: Request, answer: list[Completion]) -> list[Completion]:
    # One greedy sample is asked for: the others would be the same.
    return answer * request.sampling.n if request.sampling.temperature == 0 else answer

"""How a request is written for a server, and its reply checked and read: vLLM's extensions, or the plain API.

Reading raises `ValueError` for a reply of another shape: what it holds is quoted by the caller, who
can mask it.
"""

import logging
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, Field

from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_seed
from selfguide.models.base import Completion, Request
from selfguide.models.stopping import StopStrings
from selfguide.models.vllm_requests import spelled
from selfguide.prompts.tokenization import PromptTokenizer

log = logging.getLogger(__name__)
NO_PENALTIES = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
NEUTRAL = {**NO_PENALTIES, "repetition_penalty": 1.0, "min_p": 0.0}
"""What a request leaves out, the server takes from its own settings or the model's generation_config.json."""

# Just above 0: what rounding makes of the logarithm of 1.
Logprob = Annotated[float, Field(strict=True, allow_inf_nan=False, le=1e-4)]
Index = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
C = TypeVar("C")
T = TypeVar("T")
# What is longer is refused while it is read.
Tokens = Annotated[list[T], Field(max_length=1_000_000)]
LONGEST_TOKEN = 256
"""Characters."""


class _TokenLogprobs(BaseModel):
    token_logprobs: Tokens[Logprob] | None = None
    top_logprobs: Tokens[dict[str, Logprob] | None] | None = None


class _Choice(BaseModel):
    index: Index | None = None


class _VLLMChoice(_Choice):
    token_ids: Tokens[Index]
    logprobs: _TokenLogprobs
    finish_reason: Literal["stop", "length"]


class _ScoredChoice(_Choice):
    logprobs: _TokenLogprobs


class PlainChoice(_Choice):
    """A sample of the published APIs."""

    # Of servers that call the end of a text by other names; one that says nothing means "stop".
    finish_reason: Literal["stop", "length", "content_filter", "eos_token", "stop_sequence"] | None = None


class _TextChoice(PlainChoice):
    text: str
    logprobs: _TokenLogprobs | None = None


class Usage(BaseModel):
    """Tokens of a request as the server counts them."""

    prompt_tokens: Index = 0
    completion_tokens: Index = 0


class _Reply(BaseModel, Generic[C]):
    choices: Annotated[list[C], Field(max_length=10_000)]
    usage: Usage | None = None


class Dialect(Protocol):
    """One way of asking for completions. `path` is the end of the server's address."""

    path: str

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """The request's JSON, without the model's name. `limit`: new tokens at most."""
        ...

    def completions(self, request: Request, limit: int, reply: bytes) -> list[Completion]:
        """The reply's completions in sample order. Raises `ValueError` for one that does not fit the request."""
        ...


class VLLMDialect:
    """Token ids in and out, top-k, choices, scores: what `vllm serve` offers beyond the plain API."""

    path = "completions"

    def __init__(self, tokenizer: PromptTokenizer, vocabulary: int = 0) -> None:
        self._tokenizer = tokenizer
        # Models may have room for more tokens than their tokenizer uses.
        self._vocabulary = max(len(tokenizer.tokenizer), vocabulary)

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """See `Dialect`."""
        sampling = request.sampling
        body = common(request, limit) | {
            **NEUTRAL,
            "prompt": list(request.prompt_ids),
            "top_k": sampling.top_k,
            "logprobs": 0,
            "return_token_ids": True,
        }
        if sampling.choices:
            body["structured_outputs"] = {"choice": [spelled(self._tokenizer, c) for c in sampling.choices]}
        return body

    def completions(self, request: Request, limit: int, reply: bytes) -> list[Completion]:
        """See `Dialect`."""
        completions = []
        for choice in choices_of(_VLLMChoice, reply, samples_of(request)):
            ids, logprobs = tuple(choice.token_ids), choice.logprobs.token_logprobs
            if len(ids) > limit:
                raise ValueError(f"{len(ids)} tokens where {limit} were requested")
            if logprobs is None or len(logprobs) != len(ids):
                raise ValueError(f"{len(logprobs or ())} log-probabilities of {len(ids)} tokens")
            if max(ids, default=0) >= self._vocabulary:
                raise ValueError(f"token id {max(ids)} of a vocabulary of {self._vocabulary}")
            completions.append(_completion(self._tokenizer, request, ids, logprobs, choice.finish_reason))
        return completions

    def next_token(self, prompt_ids: tuple[int, ...], candidates: list[int]) -> dict[str, Any]:
        """A request for the log-probabilities of some next tokens."""
        return {
            **NEUTRAL,
            "prompt": list(prompt_ids),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": len(candidates),
            "logprob_token_ids": candidates,
            "return_tokens_as_token_ids": True,
        }

    def candidates(self, candidates: list[int], reply: bytes) -> dict[int, float]:
        """Log-probability of each candidate, from the reply to `next_token`. `ValueError` if one is not there."""
        [choice] = choices_of(_ScoredChoice, reply, 1)
        scores = (choice.logprobs.top_logprobs or [None])[0] or {}
        missing = [token for token in candidates if f"token_id:{token}" not in scores]
        if missing:
            raise ValueError(f"no log-probability of token {missing[0]}")
        return {token: scores[f"token_id:{token}"] for token in candidates}


class PlainDialect:
    """The API as published: text in and out. Token ids are this side's; no top-k, no choices, no scores."""

    path = "completions"

    def __init__(self, tokenizer: PromptTokenizer) -> None:
        self._tokenizer = tokenizer
        self._notes = PlainNotes("completions")

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """See `Dialect`."""
        self._notes.check(request)
        ids = list(request.prompt_ids)
        if ids[0] == self._added_first:
            del ids[0]
        return plain_body(request, limit) | {"prompt": self._tokenizer.tokenizer.decode(ids), "logprobs": 1}

    def completions(self, request: Request, limit: int, reply: bytes) -> list[Completion]:
        """See `Dialect`. A server that gives no log-probabilities has 0 for each completion."""
        completions = []
        for choice in choices_of(_TextChoice, reply, samples_of(request)):
            logprobs = (choice.logprobs and choice.logprobs.token_logprobs) or []
            self._notes.check_reply(request, limit, choice.text, logprobs)
            ids = tuple(self._tokenizer.tokenizer(choice.text, add_special_tokens=False).input_ids)
            completions.append(_completion(self._tokenizer, request, ids, logprobs, choice.finish_reason))
        return completions

    @cached_property
    def _added_first(self) -> int | None:
        """The token that the tokenizer, the server's as well, puts before a text by itself."""
        ids = self._tokenizer.tokenizer("").input_ids
        bos: int | None = self._tokenizer.tokenizer.bos_token_id
        return bos if bos in ids[:1] else None


class PlainNotes:
    """What the published API cannot do: refused, or said once."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._said: set[str] = set()

    def check(self, request: Request) -> None:
        """Before a request is sent. Raises `ConfigError`."""
        if request.sampling.choices:
            raise ConfigError("evaluation.decoding: constrained needs engine.dialect=vllm")
        if request.sampling.top_k:
            self._say(f"the plain API has no top_k: {request.sampling.top_k} is left out")

    def check_reply(self, request: Request, limit: int, text: str, logprobs: list[float]) -> None:
        """What came back for a sample. Raises `ValueError`."""
        if len(logprobs) > limit:
            raise ValueError(f"{len(logprobs)} tokens where {limit} were requested")
        if len(text) > limit * LONGEST_TOKEN:
            raise ValueError(f"{len(text)} characters where {limit} tokens were requested")
        if text and not logprobs and request.sampling.n > 1:
            self._say("the server gives no log-probabilities: annotation.best_of ranks all answers alike")

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("engine.dialect=%s: %s (said once)", self._dialect, what)


def plain_body(request: Request, limit: int) -> dict[str, Any]:
    """What both published APIs take."""
    body = common(request, limit)
    # They take at most 4 stop strings; all of them are cut again on this side.
    return body | NO_PENALTIES | {"stop": list(request.sampling.stop[:4]) or None, "seed": body["seed"] % 2**31}


def common(request: Request, limit: int) -> dict[str, Any]:
    """What every API takes."""
    sampling = request.sampling
    return {
        "n": samples_of(request),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": limit,
        "stop": list(sampling.stop) if sampling.stop and not sampling.choices else None,
        # The seeds of engine=vllm, so that both draw the same tokens.
        "seed": child_seed(request.seed, "vllm") >> 1,
    }


def samples_of(request: Request) -> int:
    """How many are asked for."""
    # The others of a greedy request would be the same.
    return 1 if request.sampling.temperature == 0 else request.sampling.n


def choices_of(kind: type[Any], reply: bytes, samples: int) -> list[Any]:
    """The choices of a reply, in the order of their indices (as they came, where none has one)."""
    return reply_of(kind, reply, samples)[0]


def reply_of(kind: type[Any], reply: bytes, samples: int) -> tuple[list[Any], Usage]:
    """The same, and the server's count of tokens."""
    parametrized: Any = _Reply
    read = parametrized[kind].model_validate_json(reply)
    choices, usage = read.choices, read.usage or Usage()
    if len(choices) != samples:
        raise ValueError(f"{len(choices)} of {samples} samples")
    if all(choice.index is None for choice in choices):
        return choices, usage
    by_index = {choice.index: choice for choice in choices}
    if by_index.keys() != set(range(samples)):
        raise ValueError(f"samples {[choice.index for choice in choices]} of {samples}")
    return [by_index[index] for index in range(samples)], usage


def _completion(
    tokenizer: PromptTokenizer, request: Request, ids: tuple[int, ...], logprobs: list[float], finish: str | None
) -> Completion:
    stop = () if request.sampling.choices else request.sampling.stop
    text = StopStrings(tokenizer.tokenizer, stop).cut(tokenizer.decode(ids)).strip()
    return Completion(text, ids, float(sum(logprobs)), "length" if finish == "length" else "stop")

"""How a request is written for a server, and its answer read: vLLM's extensions, or the plain API.

Reading raises `KeyError`, `TypeError` and their like for an answer of another shape: what it holds is
shown by the caller, who can mask it.
"""

import logging
from functools import cached_property
from typing import Any, Protocol

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


class Dialect(Protocol):
    """One way of asking for completions."""

    path: str
    scores: bool

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """The request's JSON, without the model's name."""
        ...

    def completions(self, request: Request, answer: Any) -> list[Completion]:
        """The answer's completions in sample order."""
        ...


class VLLMDialect:
    """Token ids in and out, top-k, choices, scores: what `vllm serve` offers beyond the plain API."""

    path = "completions"
    scores = True

    def __init__(self, tokenizer: PromptTokenizer) -> None:
        self._tokenizer = tokenizer

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """See `Dialect`."""
        sampling = request.sampling
        body = _common(request, limit) | {
            **NEUTRAL,
            "prompt": list(request.prompt_ids),
            "top_k": sampling.top_k,
            "logprobs": 0,
            "return_token_ids": True,
        }
        if sampling.choices:
            body["structured_outputs"] = {"choice": [spelled(self._tokenizer, c) for c in sampling.choices]}
        return body

    def completions(self, request: Request, answer: Any) -> list[Completion]:
        """See `Dialect`."""
        return [
            _completion(
                self._tokenizer,
                request,
                tuple(choice["token_ids"]),
                sum(choice["logprobs"]["token_logprobs"]),
                choice["finish_reason"],
            )
            for choice in _choices(answer, request)
        ]

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

    def candidates(self, answer: Any) -> dict[int, float]:
        """Log-probability by token id, from the answer to `next_token`."""
        [choice] = answer["choices"]
        found = choice["logprobs"]["top_logprobs"][0]
        return {int(name.rsplit(":", 1)[1]): float(value) for name, value in found.items()}


class PlainDialect:
    """The API as published: text in and out. Token ids are this side's; no top-k, no choices, no scores."""

    scores = False

    def __init__(self, tokenizer: PromptTokenizer, chat: bool) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._said: set[str] = set()
        self.path = "chat/completions" if chat else "completions"

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """See `Dialect`."""
        if request.sampling.choices:
            raise ConfigError("evaluation.decoding: constrained needs engine.dialect=vllm")
        if request.sampling.top_k:
            self._say_once(f"the plain API has no top_k: {request.sampling.top_k} is left out")
        ids = list(request.prompt_ids)
        if ids[0] == self._added_first:
            del ids[0]
        text = self._tokenizer.tokenizer.decode(ids, skip_special_tokens=self._chat)
        # The published API takes at most 4 stop strings; all of them are cut again on this side.
        body = _common(request, limit) | NO_PENALTIES | {"stop": list(request.sampling.stop[:4]) or None}
        body["seed"] %= 2**31
        if self._chat:
            return body | {"messages": [{"role": "user", "content": text}], "logprobs": True}
        return body | {"prompt": text, "logprobs": 1}

    def completions(self, request: Request, answer: Any) -> list[Completion]:
        """See `Dialect`. A server that gives no log-probabilities has 0 for each answer."""
        made = []
        for choice in _choices(answer, request):
            text = choice["message"]["content"] if self._chat else choice["text"]
            given = choice.get("logprobs") or {}
            if self._chat:
                logprobs = [token["logprob"] for token in given.get("content") or ()]
            else:
                logprobs = given.get("token_logprobs") or []
            if text and not logprobs and request.sampling.n > 1:
                self._say_once("the server gives no log-probabilities: annotation.best_of ranks all answers alike")
            ids = self._tokenizer.tokenizer(text or "", add_special_tokens=False).input_ids
            finish = choice.get("finish_reason")
            made.append(_completion(self._tokenizer, request, tuple(ids), sum(logprobs), finish))
        return made

    @cached_property
    def _added_first(self) -> int | None:
        """The token that the tokenizer, the server's as well, puts before a text by itself."""
        ids = self._tokenizer.tokenizer("").input_ids
        bos: int | None = self._tokenizer.tokenizer.bos_token_id
        return bos if bos in ids[:1] else None

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("engine.dialect=%s: %s (said once)", "chat" if self._chat else "completions", what)


def dialect_named(name: str, tokenizer: PromptTokenizer) -> VLLMDialect | PlainDialect:
    """The dialect of `engine.dialect`."""
    return VLLMDialect(tokenizer) if name == "vllm" else PlainDialect(tokenizer, chat=name == "chat")


def _common(request: Request, limit: int) -> dict[str, Any]:
    sampling = request.sampling
    return {
        "n": _samples(request),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": limit,
        "stop": list(sampling.stop) if sampling.stop and not sampling.choices else None,
        # The seeds of engine=vllm, so that both draw the same tokens.
        "seed": child_seed(request.seed, "vllm") >> 1,
    }


def _samples(request: Request) -> int:
    return 1 if request.sampling.temperature == 0 else request.sampling.n


def _choices(answer: Any, request: Request) -> list[Any]:
    choices = answer["choices"]
    if len(choices) != _samples(request):
        raise ValueError(f"{len(choices)} of {_samples(request)} samples")
    return sorted(choices, key=lambda choice: int(choice.get("index", 0)))


def _completion(
    tokenizer: PromptTokenizer, request: Request, ids: tuple[int, ...], logprob: float, finish: str | None
) -> Completion:
    stop = () if request.sampling.choices else request.sampling.stop
    text = StopStrings(tokenizer.tokenizer, stop).cut(tokenizer.decode(ids)).strip()
    return Completion(text, ids, float(logprob), "length" if finish == "length" else "stop")

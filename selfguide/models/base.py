"""The engine contract: batch of requests in, completions in the same order out.

The method code talks to this and to nothing else, and cannot tell which engine answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self

from selfguide.prompts.selfguide import Turn


@dataclass(frozen=True, slots=True)
class Weights:
    """Finetuned weights to answer with instead of the base model's.

    `name` is a hash of the weights' bytes (16 hex digits): vLLM keys its prefix cache by it.
    `kind` is "lora" (PEFT folder on top of the base) or "full" (a whole model folder).
    """

    name: str
    path: Path
    kind: Literal["lora", "full"] = "lora"
    rank: int = 0

    @property
    def stage_identity(self) -> str:
        """The content, wherever it is kept."""
        return self.name


class Debias(NamedTuple):
    """Self-debiasing (ZeroGen, section 4.2): p · max(exp(-strength · max(q - p, 0)), floor), renormalised.

    p is the token's probability behind the prompt, q the largest behind one of `Request.counters`.
    """

    strength: float
    floor: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 are off.

    `stop` strings end a completion and are cut from its text. `choices` restricts the completion
    to one of these texts (constrained decoding); empty means free. `debias` needs `engine=hf`.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    n: int = 1
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    debias: Debias | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt as token ids, or as `turns` for a server that renders them itself (`model.prompt_format=turns`).

    The same request and seed give the same tokens alone or in any batch.
    """

    prompt_ids: tuple[int, ...]
    sampling: Sampling
    seed: int = 0
    weights: Weights | None = None
    counters: tuple[tuple[int, ...], ...] = ()  # prompts that `Sampling.debias` compares with
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled continuation.

    `text` is decoded without special tokens, cut at a stop string and stripped. `logprob` is the
    sum over `token_ids` of log p(token | before) under the model's own distribution (temperature
    1, no truncation). `finish` is "stop" (EOS, stop string or choice complete) or "length". `counted` are
    the tokens of prompt and completion, where a server says how many there were and not which.
    """

    text: str
    token_ids: tuple[int, ...]
    logprob: float
    finish: Literal["stop", "length"]
    counted: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A prompt with a given continuation, both as token ids."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    weights: Weights | None = None


@dataclass(slots=True)
class TokenCount:
    """What went through an engine since it started: tokens, and calls (completions asked for, texts scored)."""

    prompt: int = 0
    generated: int = 0
    calls: int = 0

    def __sub__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(self.prompt - other.prompt, self.generated - other.generated, self.calls - other.calls)

    def copy(self) -> "TokenCount":
        return TokenCount(self.prompt, self.generated, self.calls)

    def count_answers(self, request: Request, completions: Sequence[Completion]) -> None:
        """A request was answered."""
        self.prompt += len(request.prompt_ids) + sum(completion.counted[0] for completion in completions)
        self.generated += sum(len(completion.token_ids) + completion.counted[1] for completion in completions)
        self.calls += len(completions)

    def count_scores(self, requests: Sequence[ScoreRequest]) -> None:
        """Completions were scored; an empty one costs nothing."""
        self.prompt += sum(len(r.prompt_ids) + len(r.completion_ids) for r in requests if r.completion_ids)
        self.calls += sum(bool(r.completion_ids) for r in requests)

    def counts(self) -> tuple[int, int, int]:
        """(prompt, generated, calls), as journals keep it."""
        return self.prompt, self.generated, self.calls

    def as_info(self) -> dict[str, int]:
        """The same by name, as a finished stage keeps it."""
        return {"prompt": self.prompt, "generated": self.generated, "calls": self.calls}


def room(context_length: int, prompt_tokens: int, max_new_tokens: int) -> int:
    """Tokens a completion may take: what was asked for, or what the context leaves (0 or less: none)."""
    return min(max_new_tokens, context_length - prompt_tokens)


Progress = Callable[[int], None]
"""Called with the number of requests finished since the last call."""


class Engine(Protocol):
    """What every inference engine offers. A context manager; `close` frees the device.

    Raises `PromptTooLongError` for a prompt that leaves no room for one new token, and
    `EngineError` when the engine cannot serve.
    """

    name: str
    context_length: int
    tokens: TokenCount

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """`n` completions for each request, in the order asked. An empty list gives an empty list.

        Of turns that a server refuses as too long there are none.
        """
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """Log-probability of each completion token given all before it, temperature 1."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

"""`engine.dialect=chat`: turns in, text out. Template, tokenizer and context are the server's own."""

import re
from typing import Any, Literal

from pydantic import BaseModel

from selfguide.core.errors import ConfigError
from selfguide.models.base import Completion, Request
from selfguide.models.openai_dialects import Logprob, PlainChoice, PlainNotes, Tokens, plain_body, reply_of, samples_of

CONTEXT = re.compile(r"maximum (?:context|model) length (?:is|of) (\d+)", re.IGNORECASE)
PROMPT = re.compile(r"(\d+) in the messages|contains (?:at least )?(\d+) input tokens|resulted in (\d+) tokens")
TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum model length|max_model_len|prompt is too long", re.IGNORECASE
)


class _TokenLogprob(BaseModel):
    logprob: Logprob


class _MessageLogprobs(BaseModel):
    content: Tokens[_TokenLogprob] | None = None


class _Message(BaseModel):
    content: str | None


class _ChatChoice(PlainChoice):
    message: _Message
    logprobs: _MessageLogprobs | None = None


class ChatDialect:
    """The chat API as published. There are no token ids; tokens are counted by the server."""

    path = "chat/completions"

    def __init__(self) -> None:
        self._notes = PlainNotes("chat")

    def body(self, request: Request, limit: int) -> dict[str, Any]:
        """See `Dialect`."""
        if not request.turns:
            raise ConfigError("engine.dialect: chat takes only turns; allowed: vllm | completions")
        self._notes.check(request)
        messages = [{"role": turn.role, "content": turn.text} for turn in request.turns]
        return plain_body(request, limit) | {"messages": messages, "logprobs": True}

    def completions(self, request: Request, limit: int, reply: bytes) -> list[Completion]:
        """See `Dialect`. A server that gives no log-probabilities has 0 for each completion."""
        choices, usage = reply_of(_ChatChoice, reply, samples_of(request))
        completions = []
        for index, choice in enumerate(choices):
            text = choice.message.content or ""
            tokens = [token.logprob for token in (choice.logprobs and choice.logprobs.content) or []]
            self._notes.check_reply(request, limit, text, tokens)
            # A server that gives none still says how many there were in all.
            size = len(tokens) or (usage.completion_tokens + index) // len(choices)
            finish: Literal["stop", "length"] = "length" if choice.finish_reason == "length" else "stop"
            ends = [end for stop in request.sampling.stop if (end := text.find(stop)) >= 0]
            text = text[: min(ends, default=None)].strip()
            prompt = usage.prompt_tokens if index == 0 else 0
            completions.append(Completion(text, (), float(sum(tokens)), finish, (prompt, size)))
        return completions


def too_long(problem: str) -> bool:
    """Whether a server refused a prompt for its length."""
    return TOO_LONG.search(problem) is not None


def room_left(problem: str, asked: int) -> int:
    """New tokens that a refused prompt would leave room for, where `asked` were too many.

    Where the refusal gives no exact number (vLLM counts no further than it has to), half as many.
    """
    limit, prompt = CONTEXT.search(problem), PROMPT.search(problem)
    if limit is None or prompt is None or "at least" in prompt[0]:
        return asked // 2
    return max(0, int(limit[1]) - int(next(number for number in prompt.groups() if number)))

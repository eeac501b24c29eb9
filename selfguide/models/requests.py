"""From prompts to engine requests, and their completions back: the room in the context is judged here."""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.models.base import Completion, Engine, Request, Sampling, room
from selfguide.models.session import LanguageModel
from selfguide.prompts.selfguide import Prompt


def build_request(
    model: LanguageModel, prompt: Prompt, sampling: Sampling, seed: int = 0, prompt_ids: tuple[int, ...] | None = None
) -> Request:
    """The request for a prompt (its token ids, if they are known): as many new tokens as asked for, or as fit.

    Where the context leaves no room, `max_new_tokens` is 0 or less.
    """
    ids = model.tokenizer.encode_prompt(prompt) if prompt_ids is None else prompt_ids
    left = room(model.engine.context_length, len(ids), sampling.max_new_tokens)
    return Request(ids, replace(sampling, max_new_tokens=left, stop=model.tokenizer.stop(prompt)), seed)


def complete(engine: Engine, requests: Sequence[Request | None]) -> list[list[Completion] | None]:
    """The completions of each request, in order; None where there is no request, or no room for an answer."""
    fitting = [request for request in requests if request is not None and request.sampling.max_new_tokens > 0]
    completions = iter(engine.generate(fitting))
    return [
        next(completions) if request is not None and request.sampling.max_new_tokens > 0 else None
        for request in requests
    ]

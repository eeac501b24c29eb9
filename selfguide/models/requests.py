"""From prompts to engine requests, and their completions back: the room in the context is judged here."""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.models.base import Completion, Engine, Request, Sampling, room
from selfguide.models.session import LanguageModel
from selfguide.prompts.rendered import Rendered
from selfguide.prompts.selfguide import Prompt


def build_request(
    model: LanguageModel, prompt: Prompt, sampling: Sampling, seed: int = 0, rendered: Rendered | None = None
) -> Request:
    """The request for a prompt (as it was `rendered`, if it was): as many new tokens as asked for, or as fit.

    Where the context leaves no room, `max_new_tokens` is 0 or less.
    """
    shown = model.render(prompt) if rendered is None else rendered
    left = room(model.engine.context_length, shown.size, sampling.max_new_tokens)
    return Request(shown.ids, replace(sampling, max_new_tokens=left, stop=model.stop(prompt)), seed, turns=shown.turns)


def complete(engine: Engine, requests: Sequence[Request | None]) -> list[list[Completion] | None]:
    """The completions of each request, in order; None where there is no request, or no room for an answer."""
    fitting = [request for request in requests if request is not None and request.sampling.max_new_tokens > 0]
    completions = iter(engine.generate(fitting))
    return [
        (next(completions) or None) if request is not None and request.sampling.max_new_tokens > 0 else None
        for request in requests
    ]

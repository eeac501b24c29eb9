"""What fits an engine's context: checked before any compute, with the same words for every engine."""

from selfguide.core.errors import ConfigError, PromptTooLongError, RequestError
from selfguide.models.base import Request, ScoreRequest
from selfguide.prompts.tokenization import PromptTokenizer


def require_room(request: Request, need: int, context_length: int) -> int:
    """Tokens that the context leaves after the prompt.

    Raises `PromptTooLongError` if they are fewer than `need`, `RequestError` for an empty prompt.
    """
    length = len(request.prompt_ids)
    if length == 0:
        raise RequestError("an empty prompt cannot be continued: it needs at least one token")
    room = context_length - length
    if room < need:
        raise PromptTooLongError(
            f"a prompt of {length} tokens leaves no room for {need} new in the context of {context_length}"
        )
    return room


def new_tokens(request: Request, tokenizer: PromptTokenizer, context_length: int) -> int:
    """New tokens a request may take where choices are decoded by a grammar; raises as `require_room`.

    Engines that decode elsewhere ask this, and cannot compare prompts: `ConfigError` for self-debiasing.
    """
    if request.sampling.debias is not None:
        raise ConfigError("method.propose.debias.strength: this engine cannot do it; allowed: 0, or engine=hf")
    choices = request.sampling.choices
    need = max((len(tokenizer.encode_answer(choice)) for choice in choices), default=1)
    room = require_room(request, need, context_length)
    # The grammar may spell a choice in more tokens than the tokenizer would.
    longest = max((len(choice.encode()) + 2 for choice in choices), default=request.sampling.max_new_tokens)
    return min(longest, room)


def check_score(request: ScoreRequest, context_length: int) -> None:
    """Raise `PromptTooLongError` if the texts do not fit together, `RequestError` for an empty prompt."""
    size = len(request.prompt_ids) + len(request.completion_ids)
    if size > context_length:
        raise PromptTooLongError(f"prompt and completion of {size} tokens do not fit the context of {context_length}")
    if not request.prompt_ids:
        raise RequestError("an empty prompt cannot be scored: it needs at least one token")

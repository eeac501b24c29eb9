"""How many tokens a request may generate on an engine that decodes constrained choices by a grammar."""

from selfguide.engines.base import Request
from selfguide.errors import EngineError, PromptTooLongError
from selfguide.tokenization import PromptTokenizer


def new_tokens(request: Request, tokenizer: PromptTokenizer, context_length: int) -> int:
    """New tokens the request may take; raises `PromptTooLongError` if there is no room for one answer."""
    length = len(request.prompt_ids)
    if length == 0:
        raise EngineError("an empty prompt cannot be continued: it needs at least one token")
    room = context_length - length
    choices = request.sampling.choices
    need = max((len(tokenizer.encode_answer(choice)) for choice in choices), default=1)
    if room < need:
        raise PromptTooLongError(
            f"a prompt of {length} tokens leaves no room for {need} new in the context of {context_length}"
        )
    # The grammar may spell a choice in more tokens than the tokenizer would.
    longest = max((len(choice.encode()) + 2 for choice in choices), default=request.sampling.max_new_tokens)
    return min(longest, room)

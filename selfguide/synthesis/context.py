"""The fixed and the free part of an input: premise and hypothesis, passage and question."""

from typing import NamedTuple


class Parts(NamedTuple):
    """An input cut in two: `context + target` is the input, to the letter; `target` starts with the marker."""

    context: str
    target: str


def split_context(text: str, marker: str | None) -> Parts | None:
    """Cut `text` before the first `marker` (`TaskSpec.context_until`).

    None for a task without marker, and for a text without it or with nothing on either side: a
    synthetic text that lost its form.
    """
    if marker is None:
        return None
    context, found, rest = text.partition(marker)
    if not found or not context.strip() or not rest.strip():
        return None
    return Parts(context, found + rest)

"""The fixed and the free part of an input: premise and hypothesis, passage and question."""

import re
from typing import NamedTuple

from selfguide.core.types import TaskSpec

NAME = re.compile(r"[^\W\d_][\w -]{0,30}:")


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


def opening(task: TaskSpec) -> str | None:
    """The name of the fixed part ("Premise:"), which every demonstration's input begins with; None without one."""
    found = [NAME.match(shown.input) for shown in task.demonstrations]
    names = {None if match is None else match.group() for match in found}
    return names.pop() if len(names) == 1 and task.context_until is not None else None


def form(task: TaskSpec) -> str | None:
    """What an input with a fixed part looks like, for a prompt that shows none; None for other tasks."""
    if task.context_until is None:
        return None
    return f"{opening(task) or ''} …{task.context_until} …".strip()

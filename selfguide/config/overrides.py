"""Words of a command line as Hydra reads them."""

import os
import re
from pathlib import Path

from selfguide.config.trust import literal

FILES = (".json", ".jsonl", ".csv", ".tsv")
# Hydra's options that take the next word as their value.
VALUED = (
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd",
    "--experimental-rerun",
)  # fmt: skip


def quoted(text: str) -> str:
    """A text as a value on Hydra's command line, to the letter."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(literal(text), Quote.single).with_quotes()


def task_name(text: str) -> str:
    """A text as a task's name: letters, digits, `_`, `.` and `-`."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_.") or "my_task"


def in_order(arguments: list[str], named: tuple[str, ...] = ()) -> list[str]:
    """Options first, as Hydra needs them, then the overrides; bare words are the values of `named`, in turn."""
    options, overrides, keys = [], [], list(named)
    words = iter(arguments)
    for word in words:
        if word.startswith("-") and len(word) > 1:
            options.append(word)
            if word in VALUED or (word in ("--info", "-i") and "searchpath" in arguments):
                options += [value for value in (next(words, None),) if value is not None]
        elif word.startswith(("logger=", "logger.")):  # as other projects call it
            overrides.append("tracking" + word.removeprefix("logger"))
        elif "=" in word or word[:1] in ("+", "~") or not keys:
            overrides.append(word)
        else:
            overrides += _with_key(keys.pop(0), word)
    return [*options, *overrides]


def _with_key(key: str, word: str) -> list[str]:
    if key == "task" and (word.endswith(FILES) or os.sep in word):
        stem = Path(word).name.partition(".")[0]
        path = word if re.fullmatch(r"[A-Za-z/][\w./-]*", word) else quoted(word)
        return ["task=json", f"task.path={path}", f"task.name={task_name(stem)}"]
    plain = re.fullmatch(r"[\w./,-]+", word)
    return [f"{key}={word if plain else quoted(word)}"]

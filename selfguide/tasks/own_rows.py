"""Inputs and rows of the user's own, from a file: unlabelled inputs, and pairs that were made elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.paths import expanded
from selfguide.core.types import Example
from selfguide.tasks.raw import (
    json_lines,
    parse_json,
    read_example,
    read_text,
    require_key,
    require_object,
    require_text,
)


def read_inputs(given: Any) -> tuple[str, ...]:
    """The texts of `task.inputs`: a list of them, or a file.

    A file is a `.jsonl` of objects with "input" (or of texts), a `.json` list of the same, or any other text with an
    input on each line; blank lines count for nothing, and outputs are not read. Raises `ConfigError`, `DataError`.
    """
    if given is None:
        return ()
    if not isinstance(given, str):
        if not isinstance(given, list | tuple) or not given:
            raise ConfigError(f"task.inputs: {given!r} is not allowed; allowed: a file, or a list of texts")
        return tuple(require_text(text, f"task.inputs[{index}]") for index, text in enumerate(given))
    file = expanded(given, "task.inputs")
    texts = tuple(_input(item, where) for item, where in _items(file, "task.inputs"))
    if not texts:
        raise DataError(f"task.inputs: {file} holds no inputs")
    return texts


def read_rows(file: Path, key: str) -> list[Example]:
    """The pairs of a `.jsonl` of objects with "input" and "output". Raises `DataError`."""
    rows = [read_example(item, where) for item, where in _items(file, key)]
    if not rows:
        raise DataError(f"{key}: {file} holds no rows")
    return rows


def _items(file: Path, key: str) -> Iterator[tuple[Any, str]]:
    text = read_text(file, key)
    if file.suffix == ".json":
        document = parse_json(text, str(file))
        if not isinstance(document, list):
            raise DataError(f"{file}: expected a list of inputs")
        yield from ((item, f"{file}: [{index}]") for index, item in enumerate(document))
        return
    if file.suffix == ".jsonl":
        yield from ((item, where) for where, item in json_lines(text, str(file)))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield line.strip(), f"{file}: line {number}"


def _input(item: Any, where: str) -> str:
    if isinstance(item, str):
        return require_text(item, where)
    return require_text(require_key(require_object(item, where), "input", where), where)

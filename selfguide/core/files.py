"""Writing files so that a reader or a killed writer never sees half of one."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfguide.core.types import Example


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, non-ASCII as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write to a temporary name, fsync, rename: `path` is the old content or the new, never a part."""
    _write(path, [text])


def _write(path: Path, texts: Iterable[str]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(texts)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people: indented, keys in the order given."""
    write_text(path, json_text(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """One JSON object a line; the file appears whole, its rows are made one by one."""
    _write(path, map(json_line, rows))


def read_jsonl(path: Path) -> Iterator[Any]:
    """The rows of a finished JSONL file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def sync(path: Path) -> None:
    """Make a file's content, or the renames inside a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_line(row: Any) -> str:
    """A row as one line of a JSONL file."""
    # A lone surrogate from a tokenizer cannot be encoded; everything else stays readable.
    text = json_text(row, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode() + "\n"


def json_text(value: Any, **options: Any) -> str:
    """What all writers of JSON use: it has no NaN and no infinity, so `null` stands for a number that is not finite.

    `options` are those of `json.dumps`.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """A line {"input", "output"} for each."""
    write_jsonl(path, ({"input": example.input, "output": example.output} for example in examples))


def read_examples(path: Path) -> tuple[Example, ...]:
    """What `write_examples` wrote."""
    return tuple(Example(**row) for row in read_jsonl(path))

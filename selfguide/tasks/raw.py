"""What every task source is read into, and the checks that all of them share."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.core.errors import DataError
from selfguide.core.types import Example, Instance


@dataclass(frozen=True, slots=True)
class RawTask:
    """A task as its source has it: nothing inferred, chosen or split yet."""

    name: str
    instruction: str
    demonstrations: tuple[Example, ...]
    instances: tuple[Instance, ...]
    origin: str  # the file or dataset, for messages
    labels: tuple[str, ...] | None = None  # where the source lists them
    training: tuple[Instance, ...] = ()  # of the source's own training split; `instances` are then all for the test
    valid_input: str | None = None  # a regular expression of what is an input of the task at all, whole text, any case

    @property
    def rows(self) -> tuple[Instance, ...]:
        """All gold instances, whatever their split."""
        return (*self.instances, *self.training)


def normalized(text: str) -> str:
    """White space normalised: how inputs are compared with one another."""
    return " ".join(text.split())


def read_text(path: Path, what: str) -> str:
    """The text of a UTF-8 file, or a one-line DataError."""
    try:
        if not path.is_file() and path.exists():
            raise DataError(f"{what}: {path} is not a regular file; give a text file")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{what}: no file {path}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{what}: {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{what}: {path} cannot be read ({reason})") from None


def parse_json(text: str, where: str, first_line: int = 1) -> Any:
    """A JSON document, or a one-line DataError that names the line; the text starts at `first_line`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{where}: line {line} column {error.colno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise DataError(f"{where}: not valid JSON (nested too deeply, or a number too long)") from None


def json_lines(text: str, where: str) -> Iterator[tuple[str, Any]]:
    """The value of every line that is not blank, with the words for where it is. Raises `DataError`."""
    # Not splitlines(): JSON strings may hold other line separators as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{where}: line {number}", parse_json(line, where, number)


def require_text(value: Any, where: str, *, empty: bool = False) -> str:
    """`value` if it is a string (not blank unless `empty`), or a DataError."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a string, found {describe(value)}{_quote_hint(value)}")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise DataError(f"{where}: broken Unicode (half of a surrogate pair); save the file as UTF-8")
    if not empty and not value.strip():
        raise DataError(f"{where}: is empty")
    return value


def require_texts(value: Any, where: str) -> tuple[str, ...]:
    """A string, or a list of at least one string, as a tuple; blank outputs are allowed."""
    if isinstance(value, list):
        if not value:
            raise DataError(f"{where}: is an empty list; give at least one accepted output")
        return tuple(require_text(item, f"{where}[{index}]", empty=True) for index, item in enumerate(value))
    return (require_text(value, where, empty=True),)


def require_object(value: Any, where: str) -> dict[str, Any]:
    """`value` if it is a JSON object, or a DataError."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, found {describe(value)}")
    return value


def require_list(document: dict[str, Any], key: str, where: str) -> list[Any]:
    """The non-empty list under `key`, or a DataError."""
    if key not in document:
        known = ", ".join(sorted(map(str, document))[:12]) or "none"
        raise DataError(f'{where}: has no "{key}" (keys found: {known})')
    value = document[key]
    if not isinstance(value, list):
        raise DataError(f'{where}: "{key}" must be a list, found {describe(value)}')
    if not value:
        raise DataError(f'{where}: "{key}" is empty')
    return value


def optional_list(document: dict[str, Any], key: str, where: str) -> list[Any]:
    """The list under `key`, empty if there is none, or a DataError."""
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise DataError(f'{where}: "{key}" must be a list, found {describe(value)}')
    return value or []


def require_key(item: dict[str, Any], key: str, where: str) -> Any:
    """The value under `key`, or a DataError."""
    if key not in item:
        raise DataError(f'{where}: has no "{key}"')
    return item[key]


def read_example(value: Any, where: str) -> Example:
    """A demonstration: an object with "input" and "output" (the first one, of a list)."""
    item = require_object(value, where)
    outputs = require_texts(require_key(item, "output", where), f"{where}.output")
    return Example(require_text(require_key(item, "input", where), f"{where}.input"), outputs[0])


def read_instance(value: Any, where: str, default_id: str) -> Instance:
    """A gold instance: an object with "input", "output" (a string or a list) and maybe "id"."""
    item = require_object(value, where)
    raw_id = item.get("id", default_id)
    identity = require_text(str(raw_id) if isinstance(raw_id, int) else raw_id, f"{where}.id")
    # One published task has an instance with an empty input; the linter reports them.
    text = require_text(require_key(item, "input", where), f"{where}.input", empty=True)
    references = require_texts(require_key(item, "output", where), f"{where}.output")
    return Instance(identity, text, references)


def unique_ids(instances: Iterable[Instance], where: str) -> tuple[Instance, ...]:
    """The instances, after a check that no two share an id."""
    seen: dict[str, int] = {}
    kept = tuple(instances)
    for index, instance in enumerate(kept):
        if instance.id in seen:
            raise DataError(f'{where}: instances {seen[instance.id]} and {index} share the id "{instance.id}"')
        seen[instance.id] = index
    return kept


def describe(value: Any) -> str:
    """A short description of a JSON or YAML value for messages."""
    names = {dict: "an object", list: "a list", bool: "true/false", type(None): "nothing", int: "a number"}
    kind = names.get(type(value), "a number" if isinstance(value, float) else type(value).__name__)
    return kind if isinstance(value, dict | list | type(None)) else f"{kind} ({str(value)[:40]})"


def _quote_hint(value: Any) -> str:
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""

"""The user's own task file (`task=json task.path=...`), in one of these forms.

1. The Super-NI form: `Definition`, `Positive Examples`, `Instances`.
2. Simple JSON: `{"instruction": "...", "labels": [...]?, "examples": [{"input", "output"}], "instances": [...]?}`.
3. JSONL (`.jsonl`), one object a line, blank lines ignored:
   the first `{"instruction": "...", "labels": [...]?}`; then `{"input", "output", "demonstration": true}` for every
   demonstration and `{"input", "output", "id"?}` for every instance, in any order.
4. CSV, TSV or a folder of text files (`selfguide.tasks.tabular`); the instruction is then `task.instruction`.

`output` is a string or a list of accepted strings everywhere. Without instances nothing is measured.
"""

from typing import Any

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.paths import expanded
from selfguide.core.types import Example, Instance
from selfguide.tasks.raw import (
    RawTask,
    json_lines,
    normalized,
    optional_list,
    parse_json,
    read_example,
    read_instance,
    read_text,
    require_key,
    require_list,
    require_object,
    require_text,
    unique_ids,
)
from selfguide.tasks.sni import parse_sni
from selfguide.tasks.tabular import is_tabular, read_table


def read_json_task(path: str | None, name: str, instruction: str | None = None) -> RawTask:
    """The task in the file at `path`. Raises ConfigError without a path, DataError for a bad file.

    `instruction` is the one of a file that holds rows alone.
    """
    if not path:
        raise ConfigError("task.path: required for task=json; give the path of a .json, .jsonl, .csv or .tsv file")
    file = expanded(path, "task.path")
    if is_tabular(file):
        return read_table(file, name, instruction)
    text = read_text(file, "task.path")
    return parse_task_text(text, name, str(file), lines=file.suffix == ".jsonl")


def parse_task_text(text: str, name: str, where: str, *, lines: bool) -> RawTask:
    """A task from the text of a JSON (or, with `lines`, JSONL) file. Raises DataError."""
    if lines:
        return _parse_lines(text, name, where)
    document = require_object(parse_json(text, where), where)
    if "Definition" in document or "Instances" in document:
        return parse_sni(document, name, where)
    if "instruction" not in document:
        keys = ", ".join(sorted(map(str, document))[:12]) or "none"
        raise DataError(f'{where}: has neither "instruction" nor "Definition" (keys found: {keys})')
    instruction = require_text(document["instruction"], f"{where}: instruction")
    examples = optional_list(document, "examples", where)
    return RawTask(
        name,
        instruction,
        tuple(read_example(item, f"{where}: examples[{index}]") for index, item in enumerate(examples)),
        unique_ids(
            (
                read_instance(item, f"{where}: instances[{index}]", f"{name}-{index}")
                for index, item in enumerate(optional_list(document, "instances", where))
            ),
            where,
        ),
        where,
        _labels(document, where),
    )


def _labels(document: dict[str, Any], where: str) -> tuple[str, ...] | None:
    """The labels of a classification task, if the file lists them."""
    if document.get("labels") is None:
        return None
    listed = [
        normalized(require_text(label, f"{where}: labels[{index}]"))
        for index, label in enumerate(require_list(document, "labels", where))
    ]
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise DataError(f"{where}: labels: {listed} must be at least two different texts")
    return tuple(listed)


def _parse_lines(text: str, name: str, where: str) -> RawTask:
    instruction: str | None = None
    labels: tuple[str, ...] | None = None
    demonstrations: list[Example] = []
    instances: list[Instance] = []
    for at, value in json_lines(text, where):
        item = require_object(value, at)
        if instruction is None:
            instruction = require_text(require_key(item, "instruction", f"{at} (the first)"), f"{at}: instruction")
            labels = _labels(item, at)
        elif _is_demonstration(item, at):
            demonstrations.append(read_example(item, at))
        else:
            instances.append(read_instance(item, at, f"{name}-{len(instances)}"))
    if instruction is None:
        raise DataError(f'{where}: is empty; the first line must be {{"instruction": "..."}}')
    return RawTask(name, instruction, tuple(demonstrations), unique_ids(instances, where), where, labels)


def _is_demonstration(item: dict[str, Any], at: str) -> bool:
    flag = item.get("demonstration", False)
    if not isinstance(flag, bool):
        raise DataError(f'{at}: "demonstration" must be true or false')
    return flag

"""Super-NaturalInstructions task files, read as they are."""

import re
from pathlib import Path
from typing import Any

from selfguide.core.errors import DataError
from selfguide.tasks.raw import (
    RawTask,
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

TASK_ID = re.compile(r"(task\d+)(_[\w.\-]+)?")


def short_id(task_id: str) -> str:
    """`task190` from `task190`, `task190_snli_classification` or the file's name. Raises DataError."""
    stem = task_id.removesuffix(".json")
    match = TASK_ID.fullmatch(stem)
    if match is None:
        raise DataError(f"task.id: {task_id!r} is not a Super-NaturalInstructions id; write e.g. task190")
    return match.group(1)


def find_file(root: Path, task_id: str) -> Path:
    """The task's file in a folder of task files. Raises DataError."""
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder")
    short = short_id(task_id)
    stem = task_id.removesuffix(".json")
    names = [f"{stem}.json"] if stem != short else [f"{short}.json", f"{short}_*.json"]
    found = sorted({path for name in names for path in root.glob(name) if path.is_file()})
    if not found:
        raise DataError(f"data.root: {root} has no {names[-1]}; set data.root=null to download it")
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise DataError(f"data.root: several files for {task_id} ({listed}); set task.id to one of their stems")
    return found[0]


def parse_sni(document: Any, name: str, where: str) -> RawTask:
    """A task from a decoded Super-NI document. Raises DataError naming the part at fault."""
    root = require_object(document, where)
    definition = require_key(root, "Definition", where)
    parts = definition if isinstance(definition, list) else [definition]
    instruction = "\n".join(require_text(part, f"{where}: Definition[{i}]").strip() for i, part in enumerate(parts))
    if not instruction:
        raise DataError(f'{where}: "Definition" is empty')
    examples = optional_list(root, "Positive Examples", where)
    demonstrations = tuple(read_example(item, f"{where}: Positive Examples[{i}]") for i, item in enumerate(examples))
    instances = unique_ids(
        (
            read_instance(item, f"{where}: Instances[{i}]", f"{name}-{i}")
            for i, item in enumerate(require_list(root, "Instances", where))
        ),
        where,
    )
    return RawTask(name, instruction, demonstrations, instances, where, valid_input=_valid_input(root, where))


def _valid_input(root: dict[str, Any], where: str) -> str | None:
    """The optional key "Valid Input" of a task whose inputs have a grammar."""
    if (pattern := root.get("Valid Input")) is None:
        return None
    text = require_text(pattern, f"{where}: Valid Input")
    try:
        re.compile(text)
    except re.error as error:
        raise DataError(f"{where}: Valid Input is not a regular expression: {error}") from None
    return text


def read_sni(path: Path, name: str) -> RawTask:
    """A task from a Super-NI file. Raises DataError."""
    return parse_sni(parse_json(read_text(path, "task file"), str(path)), name, str(path))

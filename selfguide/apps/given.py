"""What a Python caller gives, as the overrides that say the same on the command line.

Data given as values (a dict, a DataFrame, rows) is kept as a task file in `runs/tasks/`, named by its content,
so that a run can be made again from the shell.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from selfguide.config.overrides import FILES, quoted, task_name
from selfguide.core.errors import ConfigError, DataError
from selfguide.core.files import canonical_json, write_json
from selfguide.core.paths import config_dir
from selfguide.store import fingerprint
from selfguide.tasks.json_task import parse_task_text, read_json_task
from selfguide.tasks.tabular import read_rows

TASKS = Path("runs/tasks")

Rows = Any
"""Rows with `input` and `output`: dicts, (input, output) pairs, a DataFrame, a `datasets.Dataset`, or a file's path."""


class Given(TypedDict, total=False):
    """What every function of the front door takes beside the task.

    `instruction`: what to do, in a sentence or two. `examples`: the demonstrations, as rows. `inputs`: the user's
    own unlabelled inputs, texts or a file. `instances`: rows for the evaluation alone; without any, nothing is
    measured. `model`: a preset of `conf/model/`, a folder, or a name of the hub. `overrides`: as on the command line.
    """

    instruction: str
    examples: Rows
    inputs: Sequence[str] | str | Path
    instances: Rows
    model: str | Path
    overrides: Sequence[str]


def overrides_of(task: Any, given: Given) -> list[str]:
    """The command line that says what was given. Raises `ConfigError` or `DataError` in one line."""
    unknown = sorted(set(given) - set(Given.__annotations__))
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such argument; allowed: task, {', '.join(Given.__annotations__)}")
    return [
        *_task(task, given),
        *_inputs(given.get("inputs")),
        *_model(given.get("model")),
        *given.get("overrides", ()),
    ]


def rows_of(rows: Rows, what: str) -> list[dict[str, Any]]:
    """Rows as dicts with `input` and `output`. Raises `DataError` naming the row."""
    if isinstance(rows, str | Path):
        read = read_rows(rows, what)
        return [{key: value for key, value in row.items() if key != "where"} for row in read]
    columns = getattr(rows, "column_names", None)  # datasets.Dataset
    if columns is None and hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas.DataFrame
        columns, rows = list(rows.columns), rows.to_dict("records")
    if columns is not None and not {"input", "output"} <= set(columns):
        raise DataError(f"{what}: has the columns {', '.join(map(str, columns))}; rename two to input and output")
    return [_row(row, f"{what}[{index}]") for index, row in enumerate(rows)]


def _row(row: Any, where: str) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {str(key): value for key, value in row.items()}
    if isinstance(row, tuple | list) and len(row) == 2:
        return {"input": row[0], "output": row[1]}
    raise DataError(f"{where}: is a {type(row).__name__}; give a dict with input and output, or a pair of them")


def _task(task: Any, given: Given) -> list[str]:
    if isinstance(task, str | Path) and not _is_file(str(task)):
        return _named(str(task), given)
    if isinstance(task, str | Path) and "examples" not in given and "instances" not in given:
        path = Path(task).expanduser().absolute()
        stated = [f"task.instruction={_quoted(given['instruction'])}"] if "instruction" in given else []
        return ["task=json", f"task.path={_quoted(str(path))}", f"task.name={task_name(path.stem)}", *stated]
    document = _document(task, given.get("instruction"))
    if "instruction" in given:
        document["instruction"] = given["instruction"]
    if "examples" in given:
        document["examples"] = rows_of(given["examples"], "examples")
    if "instances" in given:
        document["instances"] = rows_of(given["instances"], "instances")
    return _kept(document)


def _is_file(task: str) -> bool:
    """Whether a task is a file or folder of the user's; a preset of the same name comes first."""
    return task.endswith(FILES) or (not _is_preset("task", task) and Path(task).expanduser().is_dir())


def _is_preset(group: str, name: str) -> bool:
    return (config_dir() / group / f"{name}.yaml").is_file()


def _named(option: str, given: Given) -> list[str]:
    """A preset of `conf/task/`, or a data set of the hub."""
    overrides = []
    if _is_preset("task", option) or not re.fullmatch(r"[\w.-]+/[\w.-]+", option):
        overrides.append(f"task={option}")
    else:
        overrides += [
            "task=hub",
            f"task.hub.path={_quoted(option)}",
            f"task.name={task_name(option.partition('/')[2])}",
        ]
    if "instances" in given:
        raise ConfigError(f"instances: {option} has its own; give them with instruction and examples, without task")
    if "instruction" in given:
        overrides.append(f"task.instruction={_quoted(given['instruction'])}")
    if "examples" in given:
        shown = [
            f"{{input: {_quoted(row['input'])}, output: {_quoted(row['output'])}}}"
            for row in rows_of(given["examples"], "examples")
        ]
        overrides.append(f"task.demonstrations=[{', '.join(shown)}]")
    return overrides


def _document(task: Any, instruction: str | None) -> dict[str, Any]:
    """A task in the simple JSON form, as far as `task` says."""
    if task is None:
        return {}
    if isinstance(task, Mapping):
        return dict(task)
    if not isinstance(task, str | Path):
        return {"instances": rows_of(task, "task")}
    raw = read_json_task(str(task), task_name(Path(task).stem), instruction)
    return {
        "name": raw.name, "instruction": raw.instruction, "labels": list(raw.labels) if raw.labels else None,
        "examples": [{"input": d.input, "output": d.output} for d in raw.demonstrations],
        "instances": [{"id": i.id, "input": i.input, "output": list(i.references)} for i in raw.instances],
    }  # fmt: skip


def _kept(document: dict[str, Any]) -> list[str]:
    name = task_name(str(document.pop("name", "my_task")))
    if not document.get("instruction") and "Definition" not in document:
        raise ConfigError("instruction: has no value; say in a sentence or two what the task is")
    try:
        content = canonical_json(document)
    except TypeError as error:
        raise DataError(f"task: {error}; allowed: texts, and lists of texts for several accepted outputs") from None
    parse_task_text(content, name, "task", lines=False)  # a mistake is named before anything is written
    path = TASKS / f"{name}-{fingerprint(document)[:12]}.json"
    TASKS.mkdir(parents=True, exist_ok=True)
    write_json(path, json.loads(content))
    return ["task=json", f"task.path={_quoted(str(path))}", f"task.name={name}"]


def _inputs(inputs: Sequence[str] | str | Path | None) -> list[str]:
    if inputs is None:
        return []
    if isinstance(inputs, str | Path):
        return [f"task.inputs={_quoted(str(Path(inputs).expanduser().absolute()))}"]
    path = TASKS / f"inputs-{fingerprint(list(inputs))[:12]}.json"
    TASKS.mkdir(parents=True, exist_ok=True)
    write_json(path, list(inputs))
    return [f"task.inputs={_quoted(str(path))}"]


def _model(model: str | Path | None) -> list[str]:
    if model is None:
        return []
    if _is_preset("model", str(model)):
        return [f"model={model}"]
    return ["model=local", f"model.path={_quoted(str(model))}"]


def _quoted(text: Any) -> str:
    if not isinstance(text, str):
        raise DataError(f"expected a text, found {type(text).__name__} ({str(text)[:40]})")
    return quoted(text)

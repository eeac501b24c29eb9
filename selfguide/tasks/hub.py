"""A Hugging Face dataset as a task (`task=hub`), through a mapping of its columns."""

import re
import string
from collections.abc import Mapping
from typing import Any

from selfguide.config.schema import HubConfig
from selfguide.core.errors import ConfigError, DataError
from selfguide.core.optional import optional
from selfguide.core.paths import expanded
from selfguide.core.types import Instance
from selfguide.tasks.raw import RawTask, normalized, read_example, read_instance, require_text, unique_ids


def read_hub(
    hub: HubConfig, name: str, instruction: str | None, demonstrations: list[dict[str, str]] | None
) -> RawTask:
    """The task that the mapping describes. Raises ConfigError, DataError, MissingDependencyError.

    A local folder of data files, or one written by `save_to_disk`, may stand for the hub name.
    """
    path, split = _required(hub)
    if not instruction:
        raise ConfigError("task.instruction: required for task=hub; say in a sentence or two what the task is")
    if not demonstrations:
        raise ConfigError('task.demonstrations: required for task=hub; write [{input: "...", output: "..."}]')
    instances, labels = _instances(hub, split, name)
    # Data sets number the rows of each split from 0: the training rows' ids say which split they are of.
    training = () if hub.train_split is None else _instances(hub, hub.train_split, name, f"{hub.train_split}-")[0]
    examples = tuple(read_example(item, f"task.demonstrations[{i}]") for i, item in enumerate(demonstrations))
    stated = require_text(instruction, "task.instruction")
    return RawTask(name, stated, examples, instances, f"{path}[{split}]", labels=labels, training=training)


def _instances(
    hub: HubConfig, split: str, name: str, prefix: str = ""
) -> tuple[tuple[Instance, ...], tuple[str, ...] | None]:
    """The rows of one split, and the labels that `output_names` or the dataset declares; `prefix` is of the ids."""
    template, output_column = str(hub.input_template), str(hub.output_column)
    where = f"{hub.path}[{split}]"
    rows = _load(hub, split, where)
    columns = list(rows.column_names)
    for knob, wanted in [("input_template", _fields(template)), ("output_column", [output_column])]:
        missing = [column for field in wanted if (column := _column(field, columns)) not in columns]
        if missing:
            raise ConfigError(f"task.hub.{knob}: {where} has no column {missing[0]!r} (columns: {', '.join(columns)})")
    if hub.id_column is not None and hub.id_column not in columns:
        raise ConfigError(f"task.hub.id_column: {where} has no column {hub.id_column!r} ({', '.join(columns)})")
    names = _output_names(rows, output_column, hub.output_names)
    fields = _fields(template)

    def instance(index: int, row: Mapping[str, Any]) -> Instance:
        row_name = f"{where} row {index}"
        item = {
            "id": prefix + (f"{name}-{index}" if hub.id_column is None else str(row[hub.id_column])),
            "input": COLUMNS.vformat(template, (), {field: _text(_inside(row, field, row_name)) for field in fields}),
            "output": _outputs(_inside(row, output_column, row_name), names, row_name),
        }
        return read_instance(item, row_name, f"{name}-{index}")

    instances = unique_ids((instance(index, row) for index, row in enumerate(rows)), where)
    if not instances:
        raise DataError(f"{where}: has no rows")
    labels = tuple(dict.fromkeys(map(normalized, names.values())))
    return instances, labels if len(labels) > 1 else None


def _required(hub: HubConfig) -> tuple[str, str]:
    """Path and split, after a check that nothing is missing."""
    for knob in ("path", "split", "input_template", "output_column"):
        if not getattr(hub, knob):
            raise ConfigError(f"task.hub.{knob}: required for task=hub")
    return str(hub.path), str(hub.split)


def _fields(template: str) -> list[str]:
    try:
        parsed = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigError(f"task.hub.input_template: {template!r} is not a valid template ({error})") from None
    if not parsed or not all(re.fullmatch(r"[^\W\d]\w*(\.\w+)*", field) for field in parsed):
        raise ConfigError(f"task.hub.input_template: {template!r} must name columns in braces, as {{premise}}")
    return parsed


class _Columns(string.Formatter):
    """`{endings.0}` is looked up under this whole name, not as an attribute."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        return kwargs[field_name], field_name


COLUMNS = _Columns()


def _column(field: str, columns: list[str]) -> str:
    """The column that a field such as `endings.0` is in."""
    return field if field in columns else field.partition(".")[0]


def _inside(row: Mapping[str, Any], field: str, where: str) -> Any:
    """The value of a column, or inside it: `endings.0` of a list, `answers.text` of a record or of each in a list."""
    column = _column(field, list(row))
    value = row[column]
    for part in field[len(column) + 1 :].split(".") if field != column else ():
        try:
            if isinstance(value, list) and not part.isdigit():
                value = [item[part] for item in value]
            else:
                value = value[int(part) if isinstance(value, list) else part]
        except (KeyError, IndexError, TypeError):
            raise DataError(f"{where}: {field}: there is no {part!r} in {column}") from None
    return value


def _load(hub: HubConfig, split: str, where: str) -> Any:
    datasets = optional("datasets", "task=hub", "hub")
    try:
        path = str(hub.path)
        folder = expanded(path, "task.hub.path")
        if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
            loaded = datasets.load_from_disk(str(folder))
            if hub.train_split is not None and not isinstance(loaded, dict):
                raise ValueError("the folder holds only one split; set task.hub.train_split=null")
            return loaded[split] if isinstance(loaded, dict) else loaded
        return datasets.load_dataset(path, hub.name, revision=hub.revision, split=split)
    except Exception as error:  # every kind of network, cache and format failure ends here
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"task.hub: {where} cannot be loaded: {type(error).__name__}: {reason[:200]}") from None


def _output_names(rows: Any, column: str, given: Mapping[str, str]) -> dict[str, str]:
    """Raw value -> label text: what the user gave, or the dataset's own class names."""
    if given:
        return {str(key): str(value) for key, value in given.items()}
    class_names = getattr(rows.features.get(column), "names", None)
    return {} if class_names is None else {str(index): str(name) for index, name in enumerate(class_names)}


def _outputs(value: Any, names: Mapping[str, str], where: str) -> str | list[str]:
    if isinstance(value, list | tuple):
        return [_output(item, names, where) for item in value]
    return _output(value, names, where)


def _output(value: Any, names: Mapping[str, str], where: str) -> str:
    text = _text(value)
    if not names:
        return text
    if text not in names:
        raise DataError(f"{where}: output {text!r} is not in task.hub.output_names ({', '.join(names)})")
    return names[text]


def _text(value: Any) -> str:
    return "" if value is None else str(value)

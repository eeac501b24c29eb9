"""Instances as rows: a CSV or TSV file, JSON lines, or a folder with one text file an instance, by label.

A CSV names its columns in the first line: `input` and `output`, maybe `id` and `demonstration` (true or false).
In a folder, `positive/1.txt` holds an input whose output is `positive`.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.paths import expanded
from selfguide.core.types import Example, Instance
from selfguide.tasks.raw import (
    RawTask,
    json_lines,
    parse_json,
    read_example,
    read_instance,
    read_text,
    require_object,
    unique_ids,
)

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def is_tabular(file: Path) -> bool:
    """Whether `read_table` reads it."""
    return file.suffix.lower() in DELIMITERS or file.is_dir()


def read_table(file: Path, name: str, instruction: str | None) -> RawTask:
    """The task whose rows are in `file`. Raises ConfigError without an instruction, DataError for a bad file."""
    if not instruction:
        raise ConfigError(f"task.instruction: required with {file}; say in a sentence or two what the task is")
    shown: list[Example] = []
    instances: list[Instance] = []
    for number, row in enumerate(read_rows(file, "task.path")):
        where = row.pop("where", f"{file}: row {number}")
        flag = str(row.pop("demonstration", "")).strip().lower()
        if flag not in FLAGS:
            raise DataError(f"{where}: demonstration is {flag!r}; allowed: true or false")
        if FLAGS[flag]:
            shown.append(read_example(row, where))
        else:
            instances.append(read_instance(row, where, f"{name}-{len(instances)}"))
    return RawTask(name, instruction, tuple(shown), unique_ids(instances, str(file)), str(file))


def read_rows(file: Path | str, what: str) -> list[dict[str, Any]]:
    """Rows with `input`, `output` and what else the file has; `where` names the place. Raises DataError."""
    path = expanded(file, what)
    if path.is_dir():
        return list(_folder_rows(path))
    text = read_text(path, what)
    if path.suffix.lower() in DELIMITERS:
        return list(_delimited_rows(text, str(path), DELIMITERS[path.suffix.lower()]))
    if path.suffix.lower() == ".jsonl":
        return [require_object(row, where) for where, row in json_lines(text, str(path))]
    content = parse_json(text, str(path))
    if not isinstance(content, list):
        raise DataError(f"{what}: {path} holds no list of rows; give a list, a .jsonl, .csv or .tsv file, or a folder")
    return [require_object(row, f"{path}: row {index}") for index, row in enumerate(content)]


def _delimited_rows(text: str, where: str, delimiter: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = columns
        for needed in ("input", "output"):
            if needed not in columns:
                raise DataError(
                    f"{where}: has no column {needed!r} (columns: {', '.join(columns) or 'none'}); rename one in its "
                    "first line, or map the columns with task=hub (conf/task/hub.yaml)"
                )
        for row in reader:
            at = f"{where}: line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{at}: has another number of cells than the first line; quote cells that hold commas")
            kept = {column: cell for column, cell in row.items() if column != "id" or cell}
            yield {**kept, "where": at}
    except csv.Error as error:
        raise DataError(f"{where}: line {reader.line_num}: not valid CSV: {error}") from None


def _folder_rows(folder: Path) -> Iterator[dict[str, Any]]:
    files = sorted(folder.glob("*/*.txt"))
    if not files:
        raise DataError(f"{folder}: has no text files below folders named after the outputs (positive/1.txt)")
    for file in files:
        identity = f"{file.parent.name}/{file.stem}"
        text = read_text(file, str(folder)).strip()
        yield {"id": identity, "input": text, "output": file.parent.name, "where": str(file)}

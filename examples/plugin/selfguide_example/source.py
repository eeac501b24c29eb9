"""A task source: `task=tsv task.name=mine task.path=mine.tsv`.

The first line is the instruction; then input, tab, output, and a third column `demonstration` for the demonstrations.
"""

from pathlib import Path

from selfguide.config.schema import DataConfig, TaskConfig
from selfguide.core.errors import ConfigError
from selfguide.core.types import Example, Instance
from selfguide.tasks.raw import RawTask


def read_tsv(task: TaskConfig, data: DataConfig) -> RawTask:
    """The task in the file at `task.path`."""
    if task.path is None or not Path(task.path).is_file():
        raise ConfigError(f"task.path: there is no file {task.path}")
    instruction, *lines = Path(task.path).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    shown = tuple(Example(row[0], row[1]) for row in rows if row[2:] == ["demonstration"])
    gold = tuple(Instance(f"{task.name}-{i}", row[0], (row[1],)) for i, row in enumerate(rows) if len(row) == 2)
    return RawTask(task.name, instruction, shown, gold, task.path)

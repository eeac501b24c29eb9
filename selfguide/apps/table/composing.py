"""The configurations of a table's cells, without composing each: a row's is composed once, and so is a task's.

A quarter of a second for each of hundreds of cells is minutes. Cells differ in row, task and seed; a task is a node of
its own, so that of a cell is that of its row with the task of another. Where a row or a task reaches further (an
interpolation of the task, a task that changes other nodes), each cell is composed as it is.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from selfguide.apps.table.grid import Cell
from selfguide.config.schema import RunConfig, TaskConfig
from selfguide.config.validate import check_combinations, typed
from selfguide.search.freeze import with_lock

TASK, SEED = re.compile(r"task(?:=|\.)"), re.compile(r"seed=(\d+)")
REACHES = re.compile(r"\$\{[^}]*\b(?:task|seed)\b")


class Composer:
    """Composes cells; what it composed for one serves the others."""

    def __init__(self, cells: Sequence[Cell] = ()) -> None:
        self._rows: dict[tuple[str, ...], RunConfig] = {}
        self._tasks: dict[tuple[str, ...], TaskConfig] = {}
        self._alone: set[tuple[str, ...]] = set()
        self._ahead = list(cells)

    def composed(self, cell: Cell) -> RunConfig:
        """A cell's configuration; nothing of task or model is looked at."""
        for other in self._ahead:
            # Where both are new one composition serves both.
            row, task, _ = _parts(other.overrides)
            if not {row, task} & {*self._rows, *self._tasks, *self._alone}:
                self._suppressed(other)
        self._ahead = []
        row, task, seed = _parts(cell.overrides)
        if seed is None or row not in self._rows or task not in self._tasks:
            return self._whole(cell.overrides)
        run = replace(copy.deepcopy(self._rows[row]), task=copy.deepcopy(self._tasks[task]), seed=seed)
        check_combinations(run)
        return run

    def _suppressed(self, cell: Cell) -> None:
        try:
            self._whole(cell.overrides)
        except Exception:
            self._alone.add(_parts(cell.overrides)[0])  # it is said of the cell itself, when its turn comes

    def _whole(self, overrides: Sequence[str]) -> RunConfig:
        config = compose("config", overrides=list(overrides))
        with open_dict(config):
            config.pop("hydra", None)
        row, task, _ = _parts(overrides)
        apart = _task_apart(task) and not _reaches(config)
        run = typed(with_lock(config, overrides))
        if apart:
            self._rows.setdefault(row, run)
            self._tasks.setdefault(task, run.task)
        else:
            self._alone.add(row)
        return run


def _parts(overrides: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
    """The overrides of the row, those of the task, and the seed."""
    task = tuple(override for override in overrides if TASK.match(override))
    seeds = [match for override in overrides if (match := SEED.fullmatch(override))]
    row = tuple(override for override in overrides if not TASK.match(override) and not SEED.fullmatch(override))
    return row, task, int(seeds[-1][1]) if seeds else None


def _task_apart(overrides: Sequence[str]) -> bool:
    """Whether the chosen task is one file for the node `task` alone."""
    names = [override.partition("=")[2] for override in overrides if override.startswith("task=")]
    repository: Any = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    found = repository.load_config(f"task/{names[-1]}") if names else None
    return found is not None and found.header.get("package") in (None, "task") and not found.defaults_list


def _reaches(config: DictConfig) -> bool:
    """Whether a value outside of the task comes from the task or the seed."""
    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return any(REACHES.search(str(value)) for key, value in content.items() if key != "task")

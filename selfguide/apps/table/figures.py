"""The figures of a table's grid, with what its runs leave to say: what is missing, what is marked, what it cost.

Holm's correction goes over all tasks and rows of the table, and over its averages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfguide.analysis.compare import group_of
from selfguide.analysis.figures import Figure, Key, figures_of
from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.work import Done
from selfguide.config.methods import kind_of_recipe

MAKES_DATA = ("selfguide", "self_icl", "loop")
SHARE = 0.9  # of the most on a task, which counts as equal


@dataclass(frozen=True, slots=True)
class Entry:
    """A row on a task: its runs, why some are missing, and the figure if there is a run."""

    runs: tuple[RunFolder, ...]
    failures: tuple[str, ...]
    planned: int
    figure: Figure | None
    unequal: int = 0
    """Runs that are not on equal terms with the other rows."""

    @property
    def unfrozen(self) -> bool:
        """Whether a run on the test split of a test task had no frozen setting."""
        return any(run.result["frozen"] is False for run in self.runs)

    @property
    def seen(self) -> bool:
        """Whether a run's model was made with instances that the run is scored on."""
        return any(run.result.get("seen_instances") for run in self.runs)

    @property
    def empty(self) -> int:
        """Runs whose method costs no data to train on: they score as the base model."""
        return sum(run.result["status"] == "empty_dataset" for run in self.runs)

    @property
    def seed_only(self) -> int:
        """Runs of a method that makes data in which none of it was trained on, but its seed data alone."""
        return sum(
            run.result["status"] == "ok"
            and run.result.get("method_kind", kind_of_recipe(run.result["method"])) in ("selfguide", "loop")
            and run.result["counts"].get("synthetic") == 0
            for run in self.runs
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """All entries by (row, task), averages by (row, group) where every task has a run, costs by row."""

    entries: Mapping[Key, Entry]
    averages: Mapping[Key, Figure]
    costs: Mapping[str, Mapping[str, float | None]]


def figures(grid: Grid, done: Sequence[Done], reference: str | None = None, equal: str | None = None) -> Figures:
    """Add up what is there. Raises `DataError` for seeds that were evaluated on different instances."""
    tasks = {name: group.tasks for name, group in grid.groups.items()}
    cells: dict[Key, list[Done]] = {(row, task): [] for row in grid.rows for some in tasks.values() for task in some}
    for one in done:
        cells[one.cell.row, one.cell.task].append(one)
    runs = {key: tuple(one.run for one in some if one.run is not None) for key, some in cells.items()}
    groups = [group_of(task, row, some) for (row, task), some in runs.items() if some]
    single, averages = figures_of(groups, tasks, reference)
    most = {task: most_of(equal, [run for key in runs if key[1] == task for run in runs[key]]) for _, task in runs}
    entries = {
        key: Entry(
            runs[key], tuple(one.reason for one in some if one.reason is not None), len(some), single.get(key),
            sum(is_unequal(equal, run, most[key[1]]) for run in runs[key]),
        )
        for key, some in cells.items()
    }  # fmt: skip
    costs = {row: row_costs([run for key in cells if key[0] == row for run in runs[key]]) for row in grid.rows}
    return Figures(entries, averages, costs)


def amount(equal: str | None, run: RunFolder) -> float | None:
    """What a run of a method that makes data has of what the rows should have in common; None for another run."""
    result = run.result
    if result.get("method_kind", kind_of_recipe(result["method"])) not in MAKES_DATA:
        return None
    if equal == "teacher_tokens":
        return float(result["costs"]["method"]["teacher_generated_tokens"])
    return float(result["counts"]["proposed"]) if equal == "proposals" else None


def most_of(equal: str | None, runs: Sequence[RunFolder]) -> float:
    """The most that a run of a task has of it."""
    return max((amount(equal, run) or 0.0 for run in runs), default=0.0)


def is_unequal(equal: str | None, run: RunFolder, most: float) -> bool:
    """Whether a run falls short of its budget, or has less than `SHARE` of the most on its task."""
    budget, own = run.result.get("budget"), amount(equal, run)
    unbound = equal == "budget" and budget is None and run.result["counts"]["train"] > 0
    return unbound or (budget or {}).get("equal") is False or (own is not None and own < SHARE * most)


def row_costs(runs: Sequence[RunFolder]) -> dict[str, float | None]:
    """Means over the runs, and the rate of rows kept over all of them; None for what a run does not know."""
    costs: dict[str, float | None] = {}
    made = [run.result.get("costs", {}).get("method", {}) for run in runs]
    answers = [run.result.get("costs", {}).get("answers", {}) for run in runs]
    for name in (
        "calls", "teacher_calls", "student_calls", "prompt_tokens", "generated_tokens", "trained_tokens", "steps",
        "device_seconds", "kept",
    ):  # fmt: skip
        costs[name] = _mean([cost.get(name) for cost in made])
    calls, kept = costs["teacher_calls"], costs["kept"]
    costs["kept_per_1000_calls"] = 1000 * kept / calls if calls and kept is not None else None
    costs["answer_calls"] = _mean([cost.get("calls") for cost in answers])
    costs["answer_prompt_tokens"] = _mean([cost.get("prompt_tokens") for cost in answers])
    costs["answer_generated_tokens"] = _mean([cost.get("generated_tokens") for cost in answers])
    return costs


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if values and None not in values else None

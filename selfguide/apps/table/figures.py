"""What the runs of a table add up to: scores with intervals, gains over few-shot ICL, tests, costs.

A task's score is the mean over seeds and instances, a group's the mean over its tasks. The scores'
intervals resample seeds and instances, task by task; the differences' intervals and tests are those
of `selfguide.evaluation.crossed`, of seeds and instances too. Holm's correction goes over all tasks
and rows of the table, and over its averages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfguide.analysis.compare import Column, Group, column_of, differences_of
from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.work import Done
from selfguide.config.methods import LOOPS
from selfguide.core.errors import DataError
from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import Gain, Interval, holm

Key = tuple[str, str]
"""(row, task) or (row, group)."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean paired difference; `holm` is p corrected over the table, None until it is known."""

    gain: Gain
    holm: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry of the table. `gain` is None for few-shot ICL itself, `against` without a reference row."""

    column: Column
    score: Interval
    gain: Difference | None
    against: Difference | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row on a task: its runs, why some are missing, and the figure if there is a run."""

    runs: tuple[RunFolder, ...]
    failures: tuple[str, ...]
    planned: int
    figure: Figure | None

    @property
    def unfrozen(self) -> bool:
        """Whether a run on the test split of a test task had no lock."""
        return any(run.result["frozen"] is False for run in self.runs)

    @property
    def empty(self) -> int:
        """Runs whose method found no data to train on: they score as the base model."""
        return sum(run.result["status"] == "empty_dataset" for run in self.runs)

    @property
    def seed_only(self) -> int:
        """Runs of a method that makes data in which none of it was trained on, but its seed data alone."""
        makers = ("selfguide", *LOOPS)
        return sum(
            run.result["status"] == "ok"
            and run.result["method"] in makers
            and run.result["counts"].get("synthetic") == 0
            for run in self.runs
        )

    @property
    def off_budget(self) -> int:
        """Runs with fewer rows, tokens or steps than the budget asks for."""
        return sum((run.result.get("budget") or {}).get("equal") is False for run in self.runs)


@dataclass(frozen=True, slots=True)
class Figures:
    """All entries by (row, task), averages by (row, group) where every task has a run, costs by row."""

    entries: Mapping[Key, Entry]
    averages: Mapping[Key, Figure]
    costs: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """The arrays behind a figure: (seeds, instances) of scores and differences; None where nothing is compared."""

    column: Column
    score: Interval | None  # of a single run
    scores: Array
    gains: Array | None
    against: Array | None


def figures(grid: Grid, done: Sequence[Done], reference: str | None = None) -> Figures:
    """Add up what is there. Raises `DataError` for seeds that were evaluated on different instances."""
    tasks = {task: group for group in grid.groups for task in grid.groups[group].tasks}
    own: dict[Key, list[Done]] = {(row, task): [] for row in grid.rows for task in tasks}
    for one in done:
        own[one.cell.row, one.cell.task].append(one)
    runs = {key: tuple(one.run for one in some if one.run is not None) for key, some in own.items()}
    measured = {key: _measure(key, runs, reference) for key in own if runs[key]}
    order = {task: place for place, task in enumerate(tasks)}
    single = _corrected({key: _figure([one], [order[key[1]]]) for key, one in measured.items()})
    averages = {}
    for row in grid.rows:
        for group, content in grid.groups.items():
            some = [measured.get((row, task)) for task in content.tasks]
            whole = [one for one in some if one is not None]
            if some and len(whole) == len(some) and len({one.column for one in whole}) == 1:
                averages[row, group] = _figure(whole, [order[task] for task in content.tasks])
    entries = {
        key: Entry(
            runs[key],
            tuple(one.reason for one in some if one.reason is not None),
            len(some),
            single.get(key),
        )
        for key, some in own.items()
    }
    costs = {row: row_costs([run for key in own if key[0] == row for run in runs[key]]) for row in grid.rows}
    return Figures(entries, _corrected(averages), costs)


def row_costs(runs: Sequence[RunFolder]) -> dict[str, float | None]:
    """Means over the runs, and the rate of rows kept over all of them; None for what a run does not know."""
    found: dict[str, float | None] = {}
    made = [run.result.get("costs", {}).get("method", {}) for run in runs]
    answers = [run.result.get("costs", {}).get("answers", {}) for run in runs]
    for name in (
        "calls", "teacher_calls", "student_calls", "prompt_tokens", "generated_tokens", "trained_tokens", "steps",
        "device_seconds", "kept",
    ):  # fmt: skip
        found[name] = _mean([cost.get(name) for cost in made])
    calls, kept = found["teacher_calls"], found["kept"]
    found["kept_per_1000_calls"] = 1000 * kept / calls if calls and kept is not None else None
    found["answer_calls"] = _mean([cost.get("calls") for cost in answers])
    found["answer_prompt_tokens"] = _mean([cost.get("prompt_tokens") for cost in answers])
    found["answer_generated_tokens"] = _mean([cost.get("generated_tokens") for cost in answers])
    return found


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if values and None not in values else None


def _measure(key: Key, runs: Mapping[Key, tuple[RunFolder, ...]], reference: str | None) -> _Measured:
    group = _group(key, runs[key])
    is_baseline = all(run.result["method"] == "few_shot_icl" for run in group.runs)
    against = None
    if reference is not None and key[0] != reference and runs[reference, key[1]]:
        other = _group((reference, key[1]), runs[reference, key[1]])
        try:
            against = differences_of(group, other)
        except DataError:
            # Evaluated on different instances (other demonstrations, say): there is nothing to pair.
            against = None
    gains = None if is_baseline else group.scores - group.baselines
    return _Measured(group.column, group.score if len(group.runs) == 1 else None, group.scores, gains, against)


def _group(key: Key, runs: Sequence[RunFolder]) -> Group:
    ordered = tuple(sorted(runs, key=lambda run: run.result["seed"]))
    return Group(key[1], key[0], column_of(ordered[0]), ordered)


def _figure(tasks: Sequence[_Measured], seeds: Sequence[int]) -> Figure:
    """The mean over tasks; `seeds` are of the resampling, another for each task."""
    gains = [task.gains for task in tasks if task.gains is not None]
    against = [task.against for task in tasks if task.against is not None]
    scores = [task.scores for task in tasks]
    return Figure(
        tasks[0].column,
        tasks[0].score if len(tasks) == 1 and tasks[0].score else crossed_interval(scores, seeds=seeds),
        Difference(crossed_gain(gains)) if len(gains) == len(tasks) else None,
        Difference(crossed_gain(against)) if len(against) == len(tasks) else None,
    )


def _corrected(found: Mapping[Key, Figure]) -> dict[Key, Figure]:
    """The figures with Holm-corrected p-values, over all of them."""
    corrected = dict(found)
    gains = {key: one.gain for key, one in found.items() if one.gain is not None}
    for key, p in zip(gains, holm([one.gain.p for one in gains.values()]), strict=True):
        corrected[key] = replace(corrected[key], gain=replace(gains[key], holm=p))
    against = {key: one.against for key, one in found.items() if one.against is not None}
    for key, p in zip(against, holm([one.gain.p for one in against.values()]), strict=True):
        corrected[key] = replace(corrected[key], against=replace(against[key], holm=p))
    return corrected

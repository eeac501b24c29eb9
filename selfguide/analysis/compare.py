"""Runs side by side: seeds grouped, intervals, paired tests; what cannot be compared is refused.

A column holds one metric on one split, read one way. A group is the runs of one task and one
variant that differ in the seed alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import flat
from selfguide.core.errors import DataError
from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import Gain, Interval, holm

BASELINE = "few-shot ICL"
# What may differ between runs that count as the same variant: where, on what, and with which seed they ran.
NOT_A_VARIANT = ("seed", "task", "store", "data", "tracking", "protocol", "evaluation")
# Named in a variant by its short form already.
SHOWN_ALREADY = ("model.", "method.name")


class Column(NamedTuple):
    """What a column of scores measures: metric, how labels are read from an answer, decoding, split."""

    metric: str
    extraction: str
    decoding: str
    split: str

    def __str__(self) -> str:
        read = f", label by {self.extraction}" if self.extraction else ""
        constrained = ", constrained decoding" if self.decoding == "constrained" else ""
        return f"{self.metric}{read}{constrained}, {self.split} split"


@dataclass(frozen=True)
class Group:
    """The runs of one task and one variant, one for each seed."""

    task: str
    variant: str
    column: Column
    runs: tuple[RunFolder, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, ascending."""
        return tuple(sorted(run.result["seed"] for run in self.runs))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The instances, the same for every run of the group. Raises `DataError` if they are not."""
        return shared_instances(self.runs)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(seeds, instances)."""
        return self._matrix("tuned_score")

    @cached_property
    def baselines(self) -> NDArray[np.float64]:
        """(seeds, instances), of few-shot ICL."""
        return self._matrix("baseline_score")

    @property
    def score(self) -> Interval:
        """Mean over seeds and instances, with its interval; one run's is its own."""
        return self._interval("score", self.scores)

    @property
    def baseline(self) -> Interval:
        """The same of few-shot ICL."""
        return self._interval("baseline", self.baselines)

    @property
    def gain(self) -> Gain:
        """Over few-shot ICL, paired; interval and p are of seeds and instances."""
        return crossed_gain([self.scores - self.baselines])

    @property
    def frozen(self) -> bool | None:
        """False if a run is on a test task's test split without a lock; None where no lock is due."""
        known = [run.result.get("frozen") for run in self.runs]
        return False if False in known else (True if True in known else None)

    def setting(self, key: str) -> Any:
        """A value of the configuration by its dotted key; None if there is none."""
        value: Any = self.runs[0].details["config"]
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _interval(self, name: str, scores: NDArray[np.float64]) -> Interval:
        return crossed_interval([scores]) if len(self.runs) > 1 else Interval(**self.runs[0].result[name])

    def _matrix(self, field: str) -> NDArray[np.float64]:
        rows = [{row["id"]: row[field] for row in run.predictions} for run in self.runs]
        return np.array([[row[instance] for instance in self.ids] for row in rows], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Row:
    """One group's figures. p-values are paired, two-sided; `holm` is corrected over the tasks of its variant."""

    group: Group
    baseline: Interval
    score: Interval
    gain: Gain
    holm: float
    against: Gain | None
    against_holm: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """All groups of one column; `reference` is the variant that `Row.against` compares with."""

    column: Column
    variants: tuple[str, ...]
    reference: str
    rows: tuple[Row, ...]

    def row(self, task: str, variant: str) -> Row | None:
        """The row of a task and a variant, if there is one."""
        return next((r for r in self.rows if r.group.task == task and r.group.variant == variant), None)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of the rows."""
        return tuple(dict.fromkeys(row.group.task for row in self.rows))

    def mean(self, variant: str, field: str) -> float | None:
        """Mean of `score`, `baseline` or `gain` over the tasks; None if the variant lacks a task."""
        rows = [self.row(task, variant) for task in self.tasks]
        return float(np.mean([getattr(row, field).value for row in rows if row])) if all(rows) else None


def compare(runs: Sequence[RunFolder]) -> list[Table]:
    """One table for each column, most tasks first. Raises `DataError` for runs that cannot be compared."""
    if not runs:
        raise DataError("no runs to compare")
    runs = without_repeats(runs)
    names = variant_names(runs)
    groups: dict[tuple[Column, str, str], list[RunFolder]] = defaultdict(list)
    for run, variant in zip(runs, names, strict=True):
        groups[column_of(run), run.result["task"], variant].append(run)
    by_column: dict[Column, list[Group]] = defaultdict(list)
    for (column, task, variant), members in groups.items():
        _refuse_repeated_seeds(task, variant, members)
        by_column[column].append(Group(task, variant, column, tuple(sorted(members, key=lambda r: r.result["seed"]))))
    tables = [_table(column, members) for column, members in by_column.items()]
    return sorted(tables, key=lambda table: (-len(table.rows), str(table.column)))


def without_repeats(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Runs made of the same stages count once."""
    seen: dict[tuple[object, ...], RunFolder] = {}
    for run in runs:
        seen.setdefault((run.result["method"], run.result["seed"], tuple(sorted(run.result["keys"].items()))), run)
    return list(seen.values())


def column_of(run: RunFolder) -> Column:
    """What the scores of a run measure."""
    task, evaluation = run.details["task"], run.details["config"]["evaluation"]
    extraction = task["label_extraction"] if task["labels"] else ""
    return Column(run.result["metric"], extraction, evaluation["decoding"], run.result["split"])


def one_column(runs: Sequence[RunFolder]) -> Column:
    """The column that all runs share. Raises `DataError` naming two that do not."""
    first, *others = runs
    for run in others:
        if column_of(run) != column_of(first):
            raise DataError(
                f"{first.name} measures {column_of(first)}, {run.name} measures {column_of(run)}: "
                "unlike metrics do not share a column"
            )
    return column_of(first)


def shared_instances(runs: Sequence[RunFolder]) -> tuple[str, ...]:
    """The instance ids that all runs were evaluated on. Raises `DataError` if they differ."""
    one_column(runs)
    found = {run.name: tuple(sorted(row["id"] for row in run.predictions)) for run in runs}
    (first, ids), *others = found.items()
    for name, other in others:
        if other != ids:
            raise DataError(
                f"{first} ({len(ids)} instances) and {name} ({len(other)}) were evaluated on different instances "
                "(evaluation.limit or data.split_seed): their scores do not share a column"
            )
    return ids


def variant_names(runs: Sequence[RunFolder]) -> list[str]:
    """A short name for each run's setting: method, and what differs between runs of the same task."""
    settings = [_setting(run) for run in runs]
    differing: set[str] = set()
    for task in {run.result["task"] for run in runs}:
        own = [setting for run, setting in zip(runs, settings, strict=True) if run.result["task"] == task]
        keys = {key for setting in own for key in setting}
        # Knobs of a method that the others do not have are told by its name.
        same_method = [[s for s in own if s["method.name"] == name] for name in {s["method.name"] for s in own}]
        differing |= {key for some in same_method for key in keys if len({s.get(key) for s in some}) > 1}
    shown = sorted(key for key in differing if not key.startswith(SHOWN_ALREADY))
    models = {run.result["model"] for run in runs}
    engines = {run.result["engine"] for run in runs}
    names = []
    for run, setting in zip(runs, settings, strict=True):
        parts = [run.result["method"]]
        parts += [run.result["model"]] * (len(models) > 1) + [run.result["engine"]] * (len(engines) > 1)
        parts += [f"{key}={setting[key]}" for key in shown if key in setting and not key.startswith("engine.")]
        names.append(", ".join(parts))
    return names


def differences_of(group: Group, reference: Group) -> NDArray[np.float64]:
    """Paired differences of two groups, (seeds, instances). Raises `DataError` for different instances.

    Groups with different seeds are paired by their means over the seeds: one row, which says nothing of the seeds.
    """
    shared_instances((*group.runs, *reference.runs))
    if group.seeds == reference.seeds:
        return group.scores - reference.scores
    means: NDArray[np.float64] = group.scores.mean(axis=0, keepdims=True) - reference.scores.mean(axis=0)
    return means


def _table(column: Column, groups: Sequence[Group]) -> Table:
    variants = tuple(dict.fromkeys(group.variant for group in groups))
    reference = variants[0]
    by_task = {group.task: group for group in groups if group.variant == reference}
    gains = {(g.task, g.variant): g.gain for g in groups}
    against = {
        (g.task, g.variant): crossed_gain([differences_of(g, by_task[g.task])])
        for g in groups
        if g.variant != reference and g.task in by_task
    }
    corrected = _corrected(gains)
    corrected_against = _corrected(against)
    rows = [
        Row(
            g, g.baseline, g.score, gains[key], corrected[key], against.get(key), corrected_against.get(key)
        )
        for g in sorted(groups, key=lambda g: (g.task, variants.index(g.variant)))
        if (key := (g.task, g.variant))
    ]  # fmt: skip
    return Table(column, variants, reference, tuple(rows))


def _corrected(gains: Mapping[tuple[str, str], Gain]) -> dict[tuple[str, str], float]:
    """Holm over the tasks of each variant."""
    corrected: dict[tuple[str, str], float] = {}
    for variant in {variant for _, variant in gains}:
        keys = [key for key in gains if key[1] == variant]
        corrected.update(zip(keys, holm([gains[key].p for key in keys]), strict=True))
    return corrected


def _setting(run: RunFolder) -> dict[str, str]:
    return {key: value for key, value in flat(run.details["config"]) if key.split(".")[0] not in NOT_A_VARIANT}


def _refuse_repeated_seeds(task: str, variant: str, runs: Sequence[RunFolder]) -> None:
    seen: dict[int, RunFolder] = {}
    for run in runs:
        seed = run.result["seed"]
        if seed in seen:
            raise DataError(
                f"{seen[seed].name} and {run.name} have the same task ({task}), setting ({variant}) and seed ({seed}) "
                "but are not the same run; give one of them"
            )
        seen[seed] = run


def find_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs in `paths`; a folder that is none itself stands for all runs below it. Raises `DataError`."""
    runs: list[RunFolder] = []
    for path in paths:
        if (path / "result.json").exists():
            runs.append(RunFolder(path))
            continue
        below = [RunFolder(file.parent) for file in sorted(path.glob("**/result.json"))]
        if not below:
            raise DataError(f"{path}: no finished run there or below it (no result.json)")
        runs.extend(below)
    return runs

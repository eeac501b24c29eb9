"""Runs side by side: which share a column, which are seeds of one variant; what cannot be compared is refused.

A column holds one metric on one split, read one way. A group is the runs of one task and one
variant that differ in the seed alone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import flat
from selfguide.config.identity import variant_keys
from selfguide.config.schema import RunConfig
from selfguide.core.errors import DataError

BASELINE = "few-shot ICL"
CONTROL = "few_shot_finetune"
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

    def controls(self, name: str) -> NDArray[np.float64] | None:
        """(seeds, instances), of a control; None where a run has none of that name."""
        if not all(name in run.result["controls"] for run in self.runs):
            return None
        return self._rows(lambda row: row["controls"][name][1])

    @property
    def is_baseline(self) -> bool:
        """Whether this is few-shot ICL itself."""
        return all(run.result["method"] == "few_shot_icl" for run in self.runs)

    @property
    def frozen(self) -> bool | None:
        """False if a run is on a test task's test split without a frozen setting; None where none is due."""
        known = [run.result.get("frozen") for run in self.runs]
        return False if False in known else (True if True in known else None)

    @property
    def seen(self) -> bool:
        """Whether a run's model was made with instances that the run is scored on."""
        return any(run.result.get("seen_instances") for run in self.runs)

    def setting(self, key: str) -> Any:
        """A value of the configuration by its dotted key; None if there is none."""
        value: Any = self.runs[0].details["config"]
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _matrix(self, field: str) -> NDArray[np.float64]:
        return self._rows(lambda row: row[field])

    def _rows(self, of: Callable[[dict[str, Any]], float]) -> NDArray[np.float64]:
        rows = [{row["id"]: of(row) for row in run.predictions} for run in self.runs]
        return np.array([[row[instance] for instance in self.ids] for row in rows], dtype=np.float64)


def group_of(task: str, variant: str, runs: Sequence[RunFolder]) -> Group:
    """The group of runs with different seeds."""
    ordered = tuple(sorted(runs, key=lambda run: run.result["seed"]))
    return Group(task, variant, column_of(ordered[0]), ordered)


def grouped(runs: Sequence[RunFolder]) -> dict[Column, list[Group]]:
    """The groups of each column, in the order of the runs.

    Raises `DataError` for two runs of one seed, and for a run without instances.
    """
    runs = without_repeats(runs)
    for run in runs:
        if run.result["score"] is None:
            raise DataError(f"{run.path}: nothing was measured there (its task has no instances); leave it out")
    members: dict[tuple[Column, str, str], list[RunFolder]] = defaultdict(list)
    for run, variant in zip(runs, variant_names(runs), strict=True):
        members[column_of(run), run.result["task"], variant].append(run)
    columns: dict[Column, list[Group]] = defaultdict(list)
    for (column, task, variant), some in members.items():
        _refuse_repeated_seeds(task, variant, some)
        columns[column].append(group_of(task, variant, some))
    return columns


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
                "different metrics cannot share a column"
            )
    return column_of(first)


def shared_instances(runs: Sequence[RunFolder]) -> tuple[str, ...]:
    """The instance ids that all runs were evaluated on. Raises `DataError` if they differ."""
    one_column(runs)
    instances = {run.name: tuple(sorted(row["id"] for row in run.predictions)) for run in runs}
    (first, ids), *others = instances.items()
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
        of_task = [setting for run, setting in zip(runs, settings, strict=True) if run.result["task"] == task]
        keys = {key for setting in of_task for key in setting}
        # Knobs of a method that the others do not have are told by its name.
        same_method = [[s for s in of_task if s["method.name"] == name] for name in {s["method.name"] for s in of_task}]
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


def _setting(run: RunFolder) -> dict[str, str]:
    config = run.details["config"]
    decisive = variant_keys(config, RunConfig)
    return {key: value for key, value in flat(config) if key in decisive}


def _refuse_repeated_seeds(task: str, variant: str, runs: Sequence[RunFolder]) -> None:
    seen: dict[int, RunFolder] = {}
    for run in runs:
        seed = run.result["seed"]
        if seed in seen:
            raise DataError(
                f"{seen[seed].name} and {run.name} have the same task ({task}), setting ({variant}) and seed ({seed}) "
                "but are not the same run; give only one of them"
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

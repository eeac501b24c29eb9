"""What groups of runs add up to: scores with intervals, gains over few-shot ICL and over a reference, tests.

The one protocol of comparisons and tables. A task's score is the mean over seeds and instances, an
average the mean over its tasks. The scores' intervals resample seeds and instances, task by task; the
differences' intervals and tests are those of `selfguide.evaluation.crossed`. A single run keeps the intervals
and tests of its `result.json`, so that it reads the same wherever it is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selfguide.analysis.compare import CONTROL, Column, Group, differences_of
from selfguide.core.errors import DataError
from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import Gain, Interval, holm, paired_gain

Key = tuple[str, str]
"""(variant, task) or (variant, average)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean paired difference; `holm` is p corrected over the other figures, None until it is known."""

    gain: Gain
    holm: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry of a table. `gain` is None for few-shot ICL itself, `against` without a reference to pair with."""

    column: Column
    score: Interval
    gain: Difference | None
    against: Difference | None = None
    over_control: Difference | None = None
    """Over few-shot finetuning, where every run has it as its control."""


Figures = Mapping[Key, Figure]


def figures_of(
    groups: Sequence[Group], averages: Mapping[str, Sequence[str]], reference: str | None = None, *,
    by_variant: bool = False,
) -> tuple[Figures, Figures]:  # fmt: skip
    """The figures of each variant and task, and of each variant and average over all of whose tasks it has runs.

    `averages` are lists of tasks by name, `reference` the variant that `against` is over. Holm's correction
    goes over all figures of a kind, or with `by_variant` over those of each variant.
    """
    known = {(group.variant, group.task): group for group in groups}
    references = {group.task: group for group in groups if group.variant == reference}
    single = {key: _figure([group], references) for key, group in known.items()}
    means = {}
    for variant in dict.fromkeys(group.variant for group in groups):
        for name, tasks in averages.items():
            present = [known[variant, task] for task in tasks if (variant, task) in known]
            if tasks and len(present) == len(tasks) and len({group.column for group in present}) == 1:
                means[variant, name] = _figure(present, references)
    return _corrected(single, by_variant), _corrected(means, by_variant)


def interval_of(groups: Sequence[Group], of: Literal["score", "baseline"]) -> Interval:
    """The mean over the groups' tasks; a single run's own."""
    if len(groups) == 1 and len(groups[0].runs) == 1:
        return Interval(**groups[0].runs[0].result[of])
    return crossed_interval([g.scores if of == "score" else g.baselines for g in groups])


def _figure(groups: Sequence[Group], references: Mapping[str, Group]) -> Figure:
    gains = [None if group.is_baseline else group.scores - group.baselines for group in groups]
    against = [_differences(group, references.get(group.task)) for group in groups]
    controls = [None if (control := group.controls(CONTROL)) is None else group.scores - control for group in groups]
    return Figure(
        column=groups[0].column,
        score=interval_of(groups, "score"),
        gain=_difference(gains, _own(groups, "gain")),
        against=_difference(against),
        over_control=_difference(controls, _own(groups, "gains", CONTROL)),
    )


def _own(groups: Sequence[Group], *keys: str) -> Gain | None:
    """What a single run's `result.json` says of a difference; None for several runs."""
    if len(groups) != 1 or len(groups[0].runs) != 1:
        return None
    found: Any = groups[0].runs[0].result
    for key in keys:
        found = found.get(key) or {}
    return Gain(**found) if found else None


def _differences(group: Group, reference: Group | None) -> NDArray[np.float64] | None:
    if reference is None or reference.variant == group.variant:
        return None
    try:
        return differences_of(group, reference)
    except DataError:
        # Evaluated on different instances (other demonstrations, say): there is nothing to pair.
        return None


def _difference(tasks: Sequence[NDArray[np.float64] | None], own: Gain | None = None) -> Difference | None:
    known = [task for task in tasks if task is not None]
    if len(known) < len(tasks):
        return None
    if own is None and len(known) == 1 and len(known[0]) == 1:  # two runs: as one run is compared with its baseline
        own = paired_gain(known[0][0], np.zeros(known[0].shape[1]))
    return Difference(own or crossed_gain(known))


def _corrected(figures: Figures, by_variant: bool) -> Figures:
    """The figures with Holm-corrected p-values."""
    corrected = dict(figures)
    for family in {key[0] if by_variant else None for key in figures}:
        some = [key for key in figures if family in (None, key[0])]
        for name in ("gain", "against", "over_control"):
            tested = {key: kept for key in some if (kept := getattr(figures[key], name)) is not None}
            for (key, kept), p in zip(tested.items(), holm([kept.gain.p for kept in tested.values()]), strict=True):
                corrected[key] = replace(corrected[key], **{name: replace(kept, holm=p)})
    return corrected


def percent(value: float) -> str:
    """A score from 0 to 1 as percent."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def with_interval(value: Interval | Gain) -> str:
    """`48.1 [45.0, 51.3]`; a gain in points."""
    form = points if isinstance(value, Gain) else percent
    return f"{form(value.value)} [{form(value.ci_low)}, {form(value.ci_high)}]"


def p_value(value: float | None) -> str:
    """Three decimals, or the bound."""
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"

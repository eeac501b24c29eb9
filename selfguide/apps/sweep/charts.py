"""The charts of a sweep: its history, its settings as parallel coordinates, and what value costs."""

from collections.abc import Sequence
from typing import Any, Literal

from markupsafe import Markup

from selfguide.analysis.charts import Curve, lines
from selfguide.analysis.parallel import Axis, Crossing, parallel
from selfguide.search.results import describe, short
from selfguide.search.summary import Summary, TrialRow

MAX_LABELS = 6


def history(summary: Summary) -> Markup:
    """Every decided trial's value in the order of their numbers, and the best so far."""
    values = [summary.value(row) for row in summary.decided]
    best: list[tuple[int, float]] = []
    dots: dict[str, list[tuple[int, float, str]]] = {"finished": [], "pruned": []}
    for index, (row, value) in enumerate(zip(summary.decided, values, strict=True)):
        dots[row.state].append((index, value, f"trial {row.number}: {describe(row.setting)}: {value:.3f} {row.state}"))
        admitted = row.state == "finished" and summary.objective.admissible(row.results)
        highest = [value] * admitted + [before for _, before in best[-1:]]
        best += [(index, max(highest))] if highest else []
    curves = [Curve("best so far", [x for x, _ in best], [y for _, y in best], 3)]
    for state, some in dots.items():
        kind: Literal["dots", "rings"] = "dots" if state == "finished" else "rings"
        notes = [note for _, _, note in some]
        curves.append(Curve(state, [x for x, _, _ in some], [y for _, y, _ in some], 0, kind, notes=notes))
    return lines("History", curves, x_name="decided trials", y_name="value")


def coordinates(summary: Summary) -> Markup:
    """A line for each decided trial across the searched keys and its value; the winner's is on top."""
    rows = sorted(summary.decided, key=lambda row: (row is summary.winner, row.state == "finished", -row.number))
    if not rows:
        return Markup("")
    scales = [_Scale([row.setting.get(key) for row in rows]) for key in summary.keys]
    values = _Scale([summary.value(row) for row in rows])
    axes = [Axis(key.rpartition(".")[2], scale.labels) for key, scale in zip(summary.keys, scales, strict=True)]
    crossings = []
    for row in rows:
        positions = [scale.position(row.setting.get(key)) for key, scale in zip(summary.keys, scales, strict=True)]
        value = summary.value(row)
        won, colour = row is summary.winner, 0 if row.state == "finished" else 9
        note = f"trial {row.number}: {describe(row.setting)}: {value:.3f} {row.state}"
        crossings.append(Crossing([*positions, values.position(value)], note, 2 if won else colour, won))
    return parallel("Settings and their values", [*axes, Axis("value", values.labels)], crossings)


def front(summary: Summary) -> Markup:
    """Value against the seconds that a finished trial took, and the trials that none beats in both."""
    rows = sorted(summary.finished, key=lambda row: (row.seconds, -summary.value(row)))
    if not any(row.seconds for row in rows):
        return Markup("")
    best = pareto(rows, summary)
    curves = [
        Curve("no other is cheaper and better", [row.seconds for row in best], [summary.value(row) for row in best], 3),
        Curve(
            "finished", [row.seconds for row in rows], [summary.value(row) for row in rows], 0, "dots",
            notes=[f"trial {row.number}: {describe(row.setting)}: {summary.value(row):.3f}" for row in rows],
        ),
    ]  # fmt: skip
    return lines("Value and cost", curves, x_name="seconds", y_name="value")


def pareto(rows: Sequence[TrialRow], summary: Summary) -> list[TrialRow]:
    """Of rows in the order of their cost those that are better than every cheaper one."""
    best: list[TrialRow] = []
    for row in rows:
        if not best or summary.value(row) > summary.value(best[-1]):
            best.append(row)
    return best


class _Scale:
    """Positions of values on an axis: numbers by size, anything else in the order in which it came."""

    def __init__(self, values: Sequence[Any]) -> None:
        known = list(dict.fromkeys(values))
        self._numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
        self._known = sorted(known) if self._numbers else known
        shown = self._known if len(self._known) <= MAX_LABELS else [self._known[0], self._known[-1]]
        self.labels = [(self.position(value), short(value)) for value in shown]

    def position(self, value: Any) -> float:
        """From 0 to 1."""
        if len(self._known) < 2:
            return 0.5
        if self._numbers:
            low, high = self._known[0], self._known[-1]
            return float((value - low) / (high - low))
        return self._known.index(value) / (len(self._known) - 1)

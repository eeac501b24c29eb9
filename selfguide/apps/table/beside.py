"""Published values and ours beside them, in the same unit. Pure."""

from collections.abc import Sequence

import numpy as np

from selfguide.analysis.compare import BASELINE, Column
from selfguide.analysis.figures import Difference, Figure, points, with_interval
from selfguide.apps.table.figures import Figures
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.published import Published
from selfguide.config.builtin import METRICS
from selfguide.config.table import TableConfig
from selfguide.core.tables import Sheet

SIGNIFICANT = 0.05
BETTER, WORSE = "↑", "↓"
BUNDLED = "micro"  # model.path


def published_sheet(config: TableConfig, grid: Grid, figures: Figures, published: Sequence[Published]) -> Sheet:
    """One line a published value, with ours of the same kind where there is one."""
    header = ["method", "on", "published as", "published", "ours, same model", "bundled model", "ours as", "source"]
    rows = []
    for value in published:
        named = config.rows.get(value.row)
        on = " and ".join(grid.groups[name].label if name in grid.groups else name for name in value.places)
        if len(value.places) > 1:
            on = f"{'the best' if value.largest else 'mean'} of {', '.join(value.places)}"
        as_published = f"{value.metric}, {value.model}"
        if value.gain is not None:
            as_published = f"gain over {value.over}: {as_published}"
        ours = _ours(grid, figures, value, config.reference)
        rows.append([named.label if named else value.row, on, as_published, _as_printed(value), *ours, value.source])
    return Sheet("Published values", header, rows, text=3)


def metric_name(column: Column) -> str:
    """What a column measures, in words."""
    return METRICS.title(column.metric) + (", constrained" if column.decoding == "constrained" else "")


def difference_cell(difference: Difference | None) -> str:
    """Points with their interval, and a mark if they pass the test."""
    if difference is None:
        return ""
    return " ".join(part for part in (with_interval(difference.gain), direction(difference)) if part)


def direction(difference: Difference) -> str:
    """Better, worse, or nothing that the test shows."""
    # A single run's interval is its bootstrap's: it may touch 0 where the test just passes.
    gain = difference.gain
    if difference.holm is None or difference.holm >= SIGNIFICANT or gain.ci_low <= 0 <= gain.ci_high:
        return ""
    return BETTER if difference.gain.value > 0 else WORSE


def _ours(grid: Grid, figures: Figures, value: Published, reference: str | None) -> tuple[str, str, str]:
    """Our figure with the published model or with the bundled one, and what it measures; blank for any other model."""
    row = grid.standing_for(value.row)
    tasks = [task for place in value.places for task in (grid.groups[place].tasks if place in grid.groups else [place])]
    entries = [figures.entries[row, task] for task in tasks if (row, task) in figures.entries]
    shown = _beside(grid, figures, value, reference)
    if len(entries) < len(tasks) or not shown:
        return "", "", ""
    runs = [run for entry in entries for run in entry.runs]
    metrics = dict.fromkeys(metric_name(entry.figure.column) for entry in entries if entry.figure is not None)
    named = f"{grid.rows[row].label}: {', '.join(metrics)}"
    if all(value.is_of(run) for run in runs):
        return shown, "", named
    bundled = all(run.details["config"]["model"]["path"] == BUNDLED for run in runs)
    return ("", shown, named) if bundled else ("", "", "")


def _beside(grid: Grid, figures: Figures, value: Published, reference: str | None) -> str:
    """A score or a gain with its interval; over another row, or over several data sets, the points alone."""
    row, place = grid.standing_for(value.row), value.places[0]
    figure = _figure(figures, row, place)
    if figure is not None and len(value.places) == 1:
        if value.gain is None:
            return with_interval(figure.score)
        if value.over == BASELINE:
            return difference_cell(figure.gain)
        if reference in grid.rows and value.over == grid.rows[reference].label:
            return difference_cell(figure.against)
    over = next((name for name, one in grid.rows.items() if one.label == value.over), None)
    gains = [_gain(figures, row, over, name) for name in value.places] if over is not None else []
    known = [gain for gain in gains if gain is not None]
    if not known or len(known) < len(gains):
        return ""
    return points(max(known) if value.largest else float(np.mean(known)))


def _figure(figures: Figures, row: str, place: str) -> Figure | None:
    """A row's figure on a group, or on a task."""
    entry = figures.entries.get((row, place))
    return figures.averages.get((row, place)) or (entry.figure if entry else None)


def _gain(figures: Figures, row: str, over: str, place: str) -> float | None:
    """A row's score less another's, on a task or a group."""
    scores = []
    for name in (row, over):
        figure = _figure(figures, name, place)
        scores.append(None if figure is None else figure.score.value)
    return None if None in scores else scores[0] - scores[1]  # type: ignore[operator]


def _as_printed(value: Published) -> str:
    """With the decimals of the paper, one or two."""
    number = value.score if value.gain is None else value.gain
    assert number is not None
    form = ".1f" if round(number, 1) == number else ".2f"
    return format(number, form if value.gain is None else f"+{form}").replace("-", "−")

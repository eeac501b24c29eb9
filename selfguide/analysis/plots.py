"""Plots of a comparison as PNG and SVG: gains per task, scaling curve, filter ablation."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfguide.analysis.compare import Group, Row, Table
from selfguide.core.optional import optional

# What a scaling curve may run along, the first that varies.
SIZES = ("generation.rounds", "generation.target", "annotation.max_rows", "generation.prompts_per_round")
FILTERS = ("filters.", "annotation.min_share", "annotation.balance", "annotation.samples")
COLOURS = ("#3b6fd4", "#1d8f62", "#d9822b", "#8a63c9", "#b9507f", "#5b6b7d", "#c9a227", "#3aa6b9")


def draw(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write the plots that these runs can fill, each as `.png` and `.svg`. Raises `MissingDependencyError`."""
    mpl = optional("matplotlib", "a plot (--no-plots draws none)", "plots")
    mpl.use("Agg")
    # Text stays text in the SVG, and the same runs give the same file.
    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "selfguide", "font.size": 9, "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e7ec", "axes.axisbelow": True,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with mpl.rc_context(style):
        for place, table in enumerate(tables):
            for name, figure in _figures(table):
                stem = name if place == 0 else f"{name}-{place + 1}"
                for kind, extra in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
                    figure.savefig(folder / f"{stem}.{kind}", bbox_inches="tight", **extra)
                    files.append(folder / f"{stem}.{kind}")
    return files


def _figures(table: Table) -> Iterator[tuple[str, Any]]:
    yield "gains", gains(table)
    size = next((key for key in SIZES if varies(table, key)), None)
    if size is not None:
        yield "scaling", scaling(table, size)
    if any(key.startswith(FILTERS) for group in _groups(table) for key in _named(group)):
        yield "ablation", ablation(table)


def gains(table: Table) -> Any:
    """Gain over few-shot ICL for each task and variant, with intervals, largest mean gain on the left."""
    tasks = sorted(table.tasks, key=lambda task: -max(row.gain.value for row in table.rows if row.group.task == task))
    figure, axes = _axes(max(4.0, 1.2 + 0.55 * len(tasks) * max(1, 0.6 * len(table.variants))))
    width = 0.8 / len(table.variants)
    for rank, variant in enumerate(table.variants):
        placed = [(x, row) for x, task in enumerate(tasks) if (row := table.row(task, variant))]
        xs = [x + (rank + 0.5) * width - 0.4 for x, _ in placed]
        _bars(axes, xs, [row for _, row in placed], width, rank, variant)
    axes.axhline(0, color="#1c2430", linewidth=0.8)
    axes.set_xticks(range(len(tasks)), tasks, rotation=35, ha="right")
    axes.set_ylabel("gain over few-shot ICL, points")
    return _finished(figure, axes, table, len(table.variants) > 1)


def scaling(table: Table, key: str) -> Any:
    """Score against the size `key`, a line for each task and the dashed baseline."""
    figure, axes = _axes(5.2)
    for rank, task in enumerate(table.tasks):
        rows = [row for row in table.rows if row.group.task == task and row.group.setting(key) is not None]
        rows.sort(key=lambda row: row.group.setting(key))
        xs = [row.group.setting(key) for row in rows]
        colour = COLOURS[rank % len(COLOURS)]
        axes.plot(xs, [100 * row.score.value for row in rows], marker="o", color=colour, label=task)
        low, high = ([100 * getattr(row.score, end) for row in rows] for end in ("ci_low", "ci_high"))
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(xs, [100 * row.baseline.value for row in rows], color=colour, linestyle="--", linewidth=0.9)
    axes.set_xlabel(key)
    axes.set_ylabel("score, percent (dashed: few-shot ICL)")
    return _finished(figure, axes, table, True)


def ablation(table: Table) -> Any:
    """Mean score over the tasks that all variants have, for each setting of the filters."""
    tasks = [task for task in table.tasks if all(table.row(task, variant) for variant in table.variants)]
    figure, axes = _axes(5.6, 0.8 + 0.42 * len(table.variants))
    for y, variant in enumerate(table.variants):
        rows = [row for task in tasks if (row := table.row(task, variant))]
        if rows:
            value = 100 * sum(row.score.value for row in rows) / len(rows)
            axes.barh(y, value, color=COLOURS[y % len(COLOURS)])
            axes.text(value, y, f" {value:.1f}", va="center")
    axes.set_yticks(range(len(table.variants)), table.variants)
    axes.invert_yaxis()
    axes.set_xlabel(f"mean score over {len(tasks)} tasks, percent")
    return _finished(figure, axes, table, False)


def varies(table: Table, key: str) -> bool:
    """Whether groups of one task differ in `key`."""
    for task in table.tasks:
        values = {group.setting(key) for group in _groups(table) if group.task == task}
        if len(values - {None}) > 1:
            return True
    return False


def _bars(axes: Any, xs: Sequence[float], rows: Sequence[Row], width: float, rank: int, name: str) -> None:
    values = [100 * row.gain.value for row in rows]
    below = [value - 100 * row.gain.ci_low for value, row in zip(values, rows, strict=True)]
    above = [100 * row.gain.ci_high - value for value, row in zip(values, rows, strict=True)]
    bars = {"color": COLOURS[rank % len(COLOURS)], "label": name, "capsize": 2}
    axes.bar(xs, values, width * 0.92, yerr=[below, above], error_kw={"elinewidth": 0.9}, **bars)


def _axes(width: float, height: float = 3.4) -> tuple[Any, Any]:
    figures = optional("matplotlib.figure", "a plot", "plots")

    figure = figures.Figure(figsize=(width, height))
    return figure, figure.subplots()


def _finished(figure: Any, axes: Any, table: Table, legend: bool) -> Any:
    axes.set_title(str(table.column), fontsize=9, loc="left")
    if legend:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.22))
    return figure


def _groups(table: Table) -> list[Group]:
    return [row.group for row in table.rows]


def _named(group: Group) -> list[str]:
    return [part.partition("=")[0] for part in group.variant.split(", ") if "=" in part]

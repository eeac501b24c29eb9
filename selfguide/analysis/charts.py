"""The one set of charts: of the report, the comparison, the sweep's page, and as files (`svg.standalone`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from selfguide.analysis.svg import (
    AREA,
    CHAR_WIDTH,
    DOT,
    LABEL_CHARS,
    PATH,
    RECT,
    WIDTH,
    Plot,
    cut,
    drawing,
    line,
    short,
    text,
    ticks,
)


@dataclass(frozen=True, slots=True)
class Series:
    """Values under one name; `colour` is a class number."""

    name: str
    values: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """Points under one name; `band` are lower and upper bounds, `notes` what a dot says when pointed at."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 0
    kind: Literal["line", "dashed", "dots", "rings"] = "line"
    band: tuple[Sequence[float], Sequence[float]] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A named position on the x axis: a line, or with `end` a band."""

    name: str
    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value with its interval; a floor has none."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar from `start` to `start + value`, with the text at its end."""

    name: str
    value: float
    text: str
    colour: int = 0
    start: float = 0.0


def bars(title: str, rows: Sequence[Bar]) -> Markup:
    """Horizontal bars, one a row, labels left, values right."""
    if not rows:
        return Markup("")
    left, right, row_height = 172, 88, 22
    scale = ticks(0, max([row.start + row.value for row in rows] + [1e-9]))[-1]
    plot = WIDTH - left - right
    parts = []
    for i, row in enumerate(rows):
        y = 4 + i * row_height
        x, width = left + row.start / scale * plot, max(row.value / scale * plot, 1.0 if row.value else 0.0)
        parts.append(text(left - 8, y + 14, cut(row.name), "end", title=row.name))
        parts.append(RECT.format(f"c{row.colour}", x, y + 2, width, row_height - 5, f"{row.name}: {row.text}"))
        parts.append(text(x + width + 5, y + 14, row.text, "start"))
    return drawing(title, 8 + len(rows) * row_height, parts)


def whiskers(title: str, rows: Sequence[Whisker], legend: Sequence[tuple[str, int]] = ()) -> Markup:
    """Values with intervals in percent or points, below 0 too; a row without interval is a tick."""
    if not rows:
        return Markup("")
    left, right, row_height = 200, 16, 28
    lowest = min([row.value if row.low is None else row.low for row in rows] + [0.0])
    highest = max([row.value if row.high is None else row.high for row in rows] + [0.05])
    marks = ticks(max(-1.0, lowest), min(1.0, highest))
    height = len(rows) * row_height + 30

    def x_of(value: float) -> float:
        return left + (value - marks[0]) / (marks[-1] - marks[0]) * (WIDTH - left - right)

    parts = []
    for mark in marks:
        parts.append(line((x_of(mark), 4), (x_of(mark), height - 24), "grid" if mark or marks[0] == 0 else "mark"))
        parts.append(text(x_of(mark), height - 8, short(round(100 * mark, 6)), "middle"))
    for i, row in enumerate(rows):
        y = 4 + i * row_height + row_height / 2
        parts.append(text(left - 8, y + 4, cut(row.name, 26), "end", title=row.name))
        note = f"{row.name}: {100 * row.value:.1f}"
        if row.low is not None and row.high is not None:
            parts.append(line((x_of(row.low), y), (x_of(row.high), y), f"s{row.colour} thick", note))
            parts.append(DOT.format(f"c{row.colour}", x_of(row.value), y, 5, note))
        else:
            parts.append(line((x_of(row.value), y - 8), (x_of(row.value), y + 8), f"s{row.colour} thick", note))
    return drawing(title, height, parts, [(name, f"c{colour}") for name, colour in legend])


def columns(
    title: str, labels: Sequence[str], series: Sequence[Series], *, x_name: str, stacked: bool = True
) -> Markup:
    """Vertical bars, stacked or side by side."""
    if not labels or not series:
        return Markup("")
    single = [value for item in series for value in item.values]
    totals = [sum(item.values[i] for item in series) for i in range(len(labels))] if stacked else single
    plot = Plot(0, len(labels), ticks(0, max([*totals, 1])), right=8)
    slot = plot.x(1) - plot.x(0)
    parts = plot.frame(x_name)
    longest = min(max(map(len, labels)), LABEL_CHARS)
    every = max(1, math.ceil(min(longest * CHAR_WIDTH + 8, 140) / slot))
    width = slot * 0.82 / (1 if stacked else len(series))
    for i, label in enumerate(labels):
        below = 0.0
        for rank, item in enumerate(series):
            value = item.values[i]
            top, size = plot.y(below + value), plot.base - plot.y(value)
            x = plot.x(i) + slot * 0.09 + (0 if stacked else rank * width)
            if value:
                note = f"{label}, {item.name}: {short(value)}"
                parts.append(RECT.format(f"c{item.colour}", x, top, width, size, note))
            below += value if stacked else 0
        if i % every == 0:
            name = cut(label, max(4, int(slot * every / CHAR_WIDTH)))
            parts.append(text(plot.x(i + 0.5), plot.base + 15, name, "middle"))
    return drawing(title, plot.base + 34, parts, _keys(series))


def lines(title: str, curves: Sequence[Curve], *, x_name: str, y_name: str, marks: Sequence[Mark] = ()) -> Markup:
    """Curves over one x axis. Marks are vertical lines; a dashed curve has no key of its own."""
    drawn = [curve for curve in curves if len(curve.xs)]
    if not drawn:
        return Markup("")
    xs = [x for curve in drawn for x in curve.xs]
    ys = [y for curve in drawn for some in (curve.ys, *(curve.band or ())) for y in some]
    plot = Plot(min(xs), max(xs), ticks(min(0.0, *ys), max(1e-9, *ys)))
    parts = plot.frame(x_name, ticks(plot.x_low, plot.x_high))
    named = plot.left
    for mark in marks:
        x = plot.x(mark.start)
        parts.append(line((x, plot.top), (x, plot.base), "mark", mark.name))
        # Marks that stand close share the space of one name.
        if x - named >= len(mark.name) * CHAR_WIDTH + 4:
            parts.append(text(x - 3, 12, mark.name, "end"))
            named = x
    for curve in drawn:
        if curve.band is not None:
            low, high = curve.band
            points = plot.points([*curve.xs, *reversed(curve.xs)], [*low, *reversed(high)])
            parts.append(AREA.format(curve.colour, points))
        if curve.kind in ("line", "dashed"):
            dashed = " dashed" if curve.kind == "dashed" else ""
            parts.append(PATH.format(curve.colour, dashed, plot.points(curve.xs, curve.ys)))
        else:
            kind = f"{'c' if curve.kind == 'dots' else 'ring s'}{curve.colour}"
            notes = curve.notes or [curve.name] * len(curve.xs)
            for x, y, note in zip(curve.xs, curve.ys, notes, strict=True):
                parts.append(DOT.format(kind, plot.x(x), plot.y(y), 4, note))
    if not marks:
        parts.append(text(plot.left + 4, 12, y_name, "start", "axis"))
    return drawing(title, plot.base + 34, parts, _keys([curve for curve in drawn if curve.kind != "dashed"]))


def histogram(
    title: str, series: Sequence[Series], *, x_name: str, marks: Sequence[Mark] = (), bins: int = 24,
    bounds: tuple[float, float] | None = None,
) -> Markup:  # fmt: skip
    """Overlaid histograms, each in percent of its own values; a `Mark` with an end is a shaded band."""
    drawn = [item for item in series if len(item.values)]
    if not drawn:
        return Markup("")
    values = sorted(value for item in drawn for value in item.values)
    # The longest hundredth goes into the last bin, so that one outlier does not flatten the rest.
    low, high = bounds or (values[0], values[min(len(values) - 1, int(0.99 * len(values)))])
    bands = [(mark, mark.end) for mark in marks if mark.end is not None]
    if bounds is None:
        low, high = min([low, *(mark.start for mark, _ in bands)]), max([high, *(end for _, end in bands)])
    high = max(high, low + 1e-9 if bounds else low + 1)
    shares = []
    for item in drawn:
        counts = [0] * bins
        for value in item.values:
            counts[max(0, min(bins - 1, int((value - low) / (high - low) * bins)))] += 1
        shares.append([100 * count / len(item.values) for count in counts])
    plot = Plot(low, high, ticks(0, max(map(max, shares)), 4), height=160)
    parts = []
    for mark, end in bands:
        x, x_end = plot.x(max(mark.start, low)), plot.x(min(end, high))
        parts.append(RECT.format("band", x, plot.top, max(x_end - x, 1), plot.height, mark.name))
    for mark in marks:
        if mark.end is None and low <= mark.start <= high:
            x = plot.x(mark.start)
            parts += [line((x, plot.top), (x, plot.base), "mark", mark.name), text(x + 3, 12, mark.name, "start")]
    parts += plot.frame(x_name, ticks(low, high), "%")
    edges = [low + (high - low) * i / bins for i in range(bins + 1)]
    for item, share in zip(drawn, shares, strict=True):
        xs = [low, *(edge for i in range(bins) for edge in (edges[i], edges[i + 1]))]
        points = plot.points(xs, [0, *(value for value in share for _ in range(2))])
        parts += [
            AREA.format(item.colour, f"{points} {plot.points([high], [0])}"),
            PATH.format(item.colour, "", points),
        ]
    return drawing(title, plot.base + 34, parts, [*_keys(drawn), *((mark.name, "band") for mark, _ in bands)])


def _keys(series: Sequence[Series] | Sequence[Curve]) -> list[tuple[str, str]]:
    return [(item.name, f"c{item.colour}") for item in series] if len(series) > 1 else []

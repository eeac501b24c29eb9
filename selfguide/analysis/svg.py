"""Small charts as inline SVG: no script, no fonts, colours by CSS class (`c0` … `c9`) so that themes apply.

Every text goes through markupsafe. Sizes are in the viewBox's units; a chart scales with its column.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 460
LABEL_CHARS = 23
CHAR_WIDTH = 8  # at the size that a phone shows
SVG = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>')
KEY = Markup('<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{}" width="10" height="10"/></svg>{}</li>')
TEXT = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>')
RECT = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>')
LINE = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"><title>{}</title></line>')
DOT = Markup('<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="5"/>')
PATH = Markup('<polyline class="s{}" points="{}"/>')
AREA = Markup('<polygon class="a{0}" points="{1}"/><polyline class="s{0}" points="{1}"/>')
COLOURS = 10


@dataclass(frozen=True, slots=True)
class Series:
    """Values under one name; `colour` is a class number."""

    name: str
    values: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A named place on the x axis: a line, or with `end` a band."""

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


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover low to high."""
    if high <= low:
        high = low + 1
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


def bars(title: str, rows: Sequence[Bar], *, top: float | None = None) -> Markup:
    """Horizontal bars, one a row, labels left, values right."""
    if not rows:
        return Markup("")
    left, right, row_height = 172, 88, 22
    scale = ticks(0, top if top is not None else max([row.start + row.value for row in rows] + [1e-9]))[-1]
    plot = WIDTH - left - right
    parts = []
    for i, row in enumerate(rows):
        y = 4 + i * row_height
        x, width = left + row.start / scale * plot, max(row.value / scale * plot, 1.0 if row.value else 0.0)
        parts.append(_text(left - 8, y + 14, _cut(row.name), "end", title=row.name))
        parts.append(_rect(x, y + 2, width, row_height - 5, row.colour, f"{row.name}: {row.text}"))
        parts.append(_text(x + width + 5, y + 14, row.text, "start"))
    return _svg(title, 8 + len(rows) * row_height, parts)


def whiskers(title: str, rows: Sequence[Whisker]) -> Markup:
    """Values with intervals on a percent axis; a row without interval is a tick."""
    if not rows:
        return Markup("")
    left, right, row_height = 186, 16, 28
    highest = max([row.high if row.high is not None else row.value for row in rows] + [0.05])
    marks = ticks(0, min(1.0, highest))
    plot = WIDTH - left - right
    height = len(rows) * row_height + 30

    def place(value: float) -> float:
        return left + value / marks[-1] * plot

    parts = [_x_axis(place(mark), height - 24, 4, short(round(100 * mark, 6))) for mark in marks]
    for i, row in enumerate(rows):
        y = 4 + i * row_height + row_height / 2
        parts.append(_text(left - 8, y + 4, _cut(row.name), "end", title=row.name))
        if row.low is not None and row.high is not None:
            x, end = place(row.low), place(row.high)
            parts.append(_line(x, y, end, y, f"s{row.colour} thick", f"{row.name}: {100 * row.value:.1f}"))
            parts.append(DOT.format(row.colour, place(row.value), y))
        else:
            parts.append(_line(place(row.value), y - 8, place(row.value), y + 8, f"s{row.colour} thick", row.name))
    return _svg(title, height, parts)


def columns(
    title: str, labels: Sequence[str], series: Sequence[Series], *, x_name: str, stacked: bool = True
) -> Markup:
    """Vertical bars, stacked or side by side; the legend is below."""
    if not labels or not series:
        return Markup("")
    totals = (
        [sum(s.values[i] for s in series) for i in range(len(labels))]
        if stacked
        else [value for s in series for value in s.values]
    )
    left, bottom, plot_height = 46, 34, 170
    marks = ticks(0, max([*totals, 1]))
    slot = (WIDTH - left - 8) / len(labels)
    base = 8 + plot_height
    parts = [_y_axis(left, base - mark / marks[-1] * plot_height, short(mark)) for mark in marks]
    longest = min(max(map(len, labels)), LABEL_CHARS)
    every = max(1, math.ceil(min(longest * CHAR_WIDTH + 8, 140) / slot))
    for i, label in enumerate(labels):
        y = float(base)
        for rank, item in enumerate(series):
            size = item.values[i] / marks[-1] * plot_height
            width = slot * 0.82 if stacked else slot * 0.82 / len(series)
            x = left + i * slot + slot * 0.09 + (0 if stacked else rank * width)
            y = y - size if stacked else base - size
            if item.values[i]:
                parts.append(_rect(x, y, width, size, item.colour, f"{label}, {item.name}: {short(item.values[i])}"))
        if i % every == 0:
            parts.append(
                _text(left + (i + 0.5) * slot, base + 15, _cut(label, max(4, int(slot * every / CHAR_WIDTH))), "middle")
            )
    parts.append(_text(left + (WIDTH - left) / 2, base + 30, x_name, "middle", "axis"))
    return _svg(title, base + bottom, parts, series)


def lines(
    title: str, series: Sequence[tuple[Series, Sequence[float]]], *, x_name: str, y_name: str,
    marks: Sequence[Mark] = (), y_top: float | None = None,
) -> Markup:  # fmt: skip
    """Lines of (values, xs). Marks are vertical lines."""
    drawn = [(item, xs) for item, xs in series if len(xs)]
    if not drawn:
        return Markup("")
    left, bottom, plot_height = 46, 34, 170
    xs_all = [x for _, xs in drawn for x in xs]
    y_marks = ticks(0, y_top if y_top is not None else max([max(item.values) for item, _ in drawn] + [1e-9]))
    x_low, x_high = min(xs_all), max(xs_all)
    span = (x_high - x_low) or 1
    base = 16 + plot_height

    def x_of(x: float) -> float:
        return left + (x - x_low) / span * (WIDTH - left - 22)

    def y_of(y: float) -> float:
        return base - min(y, y_marks[-1]) / y_marks[-1] * plot_height

    parts = [_y_axis(left, y_of(mark), short(mark)) for mark in y_marks]
    parts += [
        _text(x_of(mark), base + 15, short(mark), "middle") for mark in ticks(x_low, x_high) if x_low <= mark <= x_high
    ]
    named = float(left)
    for mark in marks:
        parts.append(_line(x_of(mark.start), 16, x_of(mark.start), base, "mark", mark.name))
        # Marks that stand close share the space of one name.
        if x_of(mark.start) - named >= len(mark.name) * CHAR_WIDTH + 4:
            parts.append(_text(x_of(mark.start) - 3, 12, mark.name, "end"))
            named = x_of(mark.start)
    for item, xs in drawn:
        points = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in zip(xs, item.values, strict=True))
        parts.append(PATH.format(item.colour, points))
    parts.append(_text(left + (WIDTH - left) / 2, base + 30, x_name, "middle", "axis"))
    if not marks:
        parts.append(_text(left + 4, 12, y_name, "start", "axis"))
    return _svg(title, base + bottom, parts, [item for item, _ in drawn])


def histogram(
    title: str, series: Sequence[Series], *, x_name: str, bins: int = 24, marks: Sequence[Mark] = (),
    bounds: tuple[float, float] | None = None,
) -> Markup:  # fmt: skip
    """Overlaid histograms, each in percent of its own values; a `Mark` with an end is a shaded band."""
    drawn = [item for item in series if len(item.values)]
    if not drawn:
        return Markup("")
    values = sorted(value for item in drawn for value in item.values)
    # The longest hundredth goes into the last bin, so that one outlier does not flatten the rest.
    low, high = bounds or (values[0], values[min(len(values) - 1, int(0.99 * len(values)))])
    for mark in marks:
        if bounds is None and mark.end is not None:
            low, high = min(low, mark.start), max(high, mark.end)
    high = max(high, low + 1e-9 if bounds else low + 1)
    left, bottom, plot_height = 46, 34, 160
    shares = []
    for item in drawn:
        counts = [0] * bins
        for value in item.values:
            counts[max(0, min(bins - 1, int((value - low) / (high - low) * bins)))] += 1
        shares.append([100 * count / len(item.values) for count in counts])
    y_marks = ticks(0, max(max(share) for share in shares), 4)
    base = 16 + plot_height
    slot = (WIDTH - left - 22) / bins

    def x_of(x: float) -> float:
        return left + (min(max(x, low), high) - low) / (high - low) * slot * bins

    parts = []
    for mark in marks:
        if mark.end is not None:
            start, end = x_of(mark.start), x_of(mark.end)
            parts.append(RECT.format("band", start, 16, max(end - start, 1), plot_height, mark.name))
        elif low <= mark.start <= high:
            parts.append(_line(x_of(mark.start), 16, x_of(mark.start), base, "mark", mark.name))
            parts.append(_text(x_of(mark.start) + 3, 12, mark.name, "start"))
    parts += [_y_axis(left, base - mark / y_marks[-1] * plot_height, f"{short(mark)}%") for mark in y_marks]
    parts += [_text(x_of(mark), base + 15, short(mark), "middle") for mark in ticks(low, high) if low <= mark <= high]
    for item, share in zip(drawn, shares, strict=True):
        points: list[tuple[float, float]] = [(float(left), float(base))]
        for i, value in enumerate(share):
            y = base - value / y_marks[-1] * plot_height
            points += [(left + i * slot, y), (left + (i + 1) * slot, y)]
        points.append((left + bins * slot, base))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(AREA.format(item.colour, path))
    parts.append(_text(left + (WIDTH - left) / 2, base + 30, x_name, "middle", "axis"))
    return _svg(title, base + bottom, parts, drawn, [mark.name for mark in marks if mark.end is not None])


def _svg(
    title: str, height: float, parts: Sequence[Markup], legend: Sequence[Series] = (), bands: Sequence[str] = ()
) -> Markup:
    body = Markup("").join(parts)
    chart = SVG.format(WIDTH, height, title, title, body)
    if len(legend) < 2 and not bands:
        return chart
    named = [(f"c{item.colour}", item.name) for item in legend] + [("band", name) for name in bands]
    keys = Markup("").join(KEY.format(kind, name) for kind, name in named)
    return chart + Markup('<ul class="legend">{}</ul>').format(keys)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "", title: str = "") -> Markup:
    tip = Markup("<title>{}</title>").format(title) if title and title != text else Markup("")
    return TEXT.format(kind, x, y, anchor, tip, text)


def _rect(x: float, y: float, width: float, height: float, colour: int, title: str) -> Markup:
    return RECT.format(f"c{colour}", x, y, width, height, title)


def _line(x: float, y: float, end_x: float, end_y: float, kind: str, title: str = "") -> Markup:
    return LINE.format(kind, x, y, end_x, end_y, title)


def _y_axis(left: float, y: float, label: str) -> Markup:
    return _line(left, y, WIDTH - 8, y, "grid") + _text(left - 6, y + 4, label, "end")


def _x_axis(x: float, bottom: float, top: float, label: str) -> Markup:
    return _line(x, top, x, bottom, "grid") + _text(x, bottom + 16, label, "middle")


def _cut(text: str, most: int = LABEL_CHARS) -> str:
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"

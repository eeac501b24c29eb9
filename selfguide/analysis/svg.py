"""What charts are drawn from: a plotting area, texts, lines, keys. No script, no fonts; colours by CSS class.

Every text goes through markupsafe. Sizes are in the viewBox's units; a chart scales with its column.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

WIDTH = 460
LABEL_CHARS = 23
CHAR_WIDTH = 8  # at the size that a phone shows
COLOURS = 10
STYLE = Path(__file__).parent / "templates" / "chart.css"
SVG = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}"><title>{}</title>{}</svg>')
TEXT = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>')
RECT = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>')
LINE = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"><title>{}</title></line>')
DOT = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>')
PATH = Markup('<polyline class="s{}{}" points="{}"/>')
AREA = Markup('<polygon class="a{}" points="{}"/>')
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a chart with a y axis, its scales and its frame."""

    x_low: float
    x_high: float
    y_marks: Sequence[float]
    left: float = 46
    top: float = 16
    height: float = 170
    right: float = 22

    @property
    def base(self) -> float:
        """The y of the lower edge."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """A value's position across."""
        share = (value - self.x_low) / ((self.x_high - self.x_low) or 1)
        return self.left + share * (WIDTH - self.left - self.right)

    def y(self, value: float) -> float:
        """A value's position down."""
        low, high = self.y_marks[0], self.y_marks[-1]
        return self.base - (min(value, high) - low) / (high - low) * self.height

    def points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The points of a line."""
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def frame(self, x_name: str, x_marks: Sequence[float] = (), unit: str = "") -> list[Markup]:
        """Grid lines with their numbers, and the name of the x axis."""
        parts = []
        for mark in self.y_marks:
            parts.append(line((self.left, self.y(mark)), (WIDTH - 8, self.y(mark)), "grid"))
            parts.append(text(self.left - 6, self.y(mark) + 4, short(mark) + unit, "end"))
        shown = [mark for mark in x_marks if self.x_low <= mark <= self.x_high]
        parts += [text(self.x(mark), self.base + 15, short(mark), "middle") for mark in shown]
        return [*parts, text(self.left + (WIDTH - self.left) / 2, self.base + 30, x_name, "middle", "axis")]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover low to high."""
    if high <= low:
        high = low + 1
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:g}"


def standalone(chart: Markup) -> str:
    """A chart as an SVG file: the page's style is inside, in its light colours, for viewers without CSS variables."""
    style = STYLE.read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+):([^;}]+)", style.splitlines()[0]))
    rules = re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], "\n".join(style.splitlines()[2:]))
    fonts = "text{font-family:system-ui,Helvetica,Arial,sans-serif}"
    return (
        str(chart)
        .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        .replace("</title>", f"</title><style>{rules}\n{fonts}</style>", 1)
    )


def drawing(title: str, height: float, parts: Sequence[Markup], keys: Sequence[tuple[str, str]] = ()) -> Markup:
    """The chart with its keys, (name, class), in lines below."""
    drawn, x, y = list(parts), 8.0, height
    for name, kind in keys:
        name = cut(name, WIDTH // CHAR_WIDTH - 4)
        width = len(name) * CHAR_WIDTH + 26
        if x > 8 and x + width > WIDTH:
            x, y = 8.0, y + 18
        drawn += [RECT.format(kind, x, y + 2, 10, 10, name), text(x + 15, y + 11, name, "start")]
        x += width
    return SVG.format(WIDTH, y + 20 if keys else height, title, title, Markup("").join(drawn))


def text(x: float, y: float, words: str, anchor: str, kind: str = "", title: str = "") -> Markup:
    """Words at a point; `anchor` is start, middle or end."""
    tip = Markup("<title>{}</title>").format(title) if title and title != words else Markup("")
    return TEXT.format(kind, x, y, anchor, tip, words)


def line(start: Point, end: Point, kind: str, title: str = "") -> Markup:
    """A straight line with what it says when pointed at."""
    return LINE.format(kind, *start, *end, title)


def cut(words: str, limit: int = LABEL_CHARS) -> str:
    """A label that has room: both ends, since labels of one chart often differ in the last part."""
    end = (limit - 1) // 2
    return words if len(words) <= limit else words[: max(1, limit - 1 - end)] + "…" + words[len(words) - end :]

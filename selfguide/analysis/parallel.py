"""Parallel coordinates: an axis for each quantity, a line across all of them for each of many things."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from selfguide.analysis.svg import WIDTH, cut, drawing, line, text

TOP, HEIGHT, SIDE = 30.0, 190.0, 46.0
LINE = Markup('<polyline class="{}" points="{}"><title>{}</title></polyline>')


@dataclass(frozen=True, slots=True)
class Axis:
    """A name, and the labels at their positions, 0 (lowest) to 1."""

    name: str
    labels: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A position on each axis, 0 to 1; what the line says when pointed at; its colour's class number."""

    positions: Sequence[float]
    note: str
    colour: int = 9
    thick: bool = False


def parallel(title: str, axes: Sequence[Axis], crossings: Sequence[Crossing]) -> Markup:
    """The chart, the last lines on top; nothing where there are no two axes."""
    if len(axes) < 2 or not crossings:
        return Markup("")
    step = (WIDTH - 2 * SIDE) / (len(axes) - 1)

    def down(position: float) -> float:
        return TOP + (1 - position) * HEIGHT

    parts = [
        LINE.format(
            f"s{crossing.colour}{' thick' if crossing.thick else ''}",
            " ".join(f"{SIDE + i * step:.1f},{down(y):.1f}" for i, y in enumerate(crossing.positions)),
            crossing.note,
        )
        for crossing in crossings
    ]
    room = max(3, int(step / 7) - 1)
    for index, axis in enumerate(axes):
        x = SIDE + index * step
        parts.append(line((x, TOP), (x, TOP + HEIGHT), "axis-line"))
        # Every second name is below, or neighbours would overlap.
        named = TOP - 12 if index % 2 == 0 else TOP + HEIGHT + 24
        parts.append(text(x, named, cut(axis.name, 2 * room), "middle", "axis", axis.name))
        beside, anchor = (x - 5, "end") if index == len(axes) - 1 else (x + 5, "start")
        for position, label in axis.labels:
            parts.append(text(beside, down(position) + 4, cut(label, room), anchor, "on-lines", label))
    return drawing(title, TOP + HEIGHT + 36, parts)

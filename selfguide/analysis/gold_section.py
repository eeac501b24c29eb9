"""The evaluation section: all that shows gold. Apart from the rest, so that a report can be made without it."""

from collections.abc import Mapping
from typing import Any

from selfguide.analysis.autopsy import QUARTILES, Chart, quartiles
from selfguide.analysis.charts import Series, histogram
from selfguide.analysis.folder import RunFolder

MAX_OVERLAPS = 50


def real_lengths(run: RunFolder, side: str) -> Chart:
    """Synthetic texts against the real ones they stand for."""
    real = [len(row["input"]) if side == "input" else len(row["references"][0]) for row in run.predictions]
    made = [len(pair.input if side == "input" else pair.output) for pair in run.pairs]
    shown = [len(d.input if side == "input" else d.output) for d in run.task.demonstrations]
    series = [Series(f"real {side}s", real, 6), Series(f"synthetic {side}s", made, 2)]
    named = (("real", real), ("synthetic", made), ("demonstrations", shown))
    table = tuple((name, *quartiles(values)) for name, values in named if values)
    caption = (
        f"Where synthetic and real {side}s differ in length, the pairs {run.description.used} are another kind of text."
    )
    drawing = histogram(f"Length of {side}s, real and synthetic", series, x_name="characters")
    return Chart(f"Length of {side}s: synthetic and real", caption, drawing, QUARTILES, table)


def overlaps(run: RunFolder) -> list[dict[str, str]]:
    """The overlap check: synthetic inputs that equal, or share a long run of words with, an evaluation input."""
    checked: list[Mapping[str, Any]] = run.details.get("overlaps", [])
    return [
        {"kind": str(overlap["kind"]), "matched": str(overlap["matched"]), "input": run.pairs[overlap["pair"]].input}
        for overlap in checked[:MAX_OVERLAPS]
        if overlap["pair"] < len(run.pairs)
    ]


def better_or_worse(run: RunFolder) -> dict[str, int]:
    """How many instances the tuned model answers better, worse, or equally well."""
    differences = [row["tuned_score"] - row["baseline_score"] for row in run.predictions]
    return {
        "better": sum(d > 1e-9 for d in differences),
        "worse": sum(d < -1e-9 for d in differences),
        "equal": sum(abs(d) <= 1e-9 for d in differences),
    }

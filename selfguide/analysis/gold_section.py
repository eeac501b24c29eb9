"""The evaluation section: all that shows gold. Apart from the rest, so that a report can be made without it."""

from collections.abc import Mapping
from typing import Any

from selfguide.analysis.autopsy import QUARTILES, Chart, quartiles
from selfguide.analysis.charts import Curve, Series, histogram, lines
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.text_map import MAX_TEXTS, plane, spread

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


def input_map(run: RunFolder) -> Chart:
    """Synthetic inputs among the real ones; nothing is drawn for a method that trains on no inputs of its own."""
    made, real = spread([pair.input for pair in run.pairs]), spread([row["input"] for row in run.predictions])
    title = "Inputs in a plane: synthetic and real"
    if len(made) < 2 or len(real) < 2:
        return Chart(title, "", lines(title, [], x_name="", y_name=""), (), ())
    points, share = plane([*made, *real])
    groups = (("real inputs", real, points[len(made) :], 6), ("synthetic inputs", made, points[: len(made)], 2))
    curves = []
    for name, texts, xy, colour in groups:
        notes = [text[:80] for text in texts]
        curves.append(Curve(name, xy[:, 0].tolist(), xy[:, 1].tolist(), colour, "dots", notes=notes))
    caption = (
        f"Each dot is an input (at most {MAX_TEXTS} of each), placed by two principal components of TF-IDF, "
        f"{share:.0%} of the variance. Real inputs without a synthetic one nearby are not covered by the data."
    )
    drawing = lines(title, curves, x_name="first component", y_name="second")
    return Chart(title, caption, drawing, (), ())


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

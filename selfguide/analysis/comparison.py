"""The comparison of several runs as a folder: a page, tables in three forms, plots."""

import base64
from collections.abc import Sequence
from pathlib import Path

from selfguide.analysis import tables as forms
from selfguide.analysis.compare import Table, compare
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import frozen, render
from selfguide.analysis.plots import draw
from selfguide.analysis.svg import Whisker, whiskers
from selfguide.core.files import write_text

PAGE = "comparison.html"


def write_comparison(runs: Sequence[RunFolder], folder: Path, *, plots: bool = True) -> list[Path]:
    """Write the comparison into `folder` and return its files. Raises `DataError` for runs that cannot be compared."""
    found = compare(runs)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw(found, folder / "plots") if plots else []
    written = {
        PAGE: render_comparison(runs, found, drawn),
        "comparison.md": forms.markdown(found),
        "comparison.csv": forms.comma_separated(found),
        "comparison.tex": forms.latex(found),
    }
    for name, text in written.items():
        write_text(folder / name, text)
    return [*(folder / name for name in written), *drawn]


def render_comparison(runs: Sequence[RunFolder], tables: Sequence[Table], plots: Sequence[Path] = ()) -> str:
    """The comparison page as text; plots are inside it."""
    sections = [
        {
            "column": str(table.column),
            "header": forms.cells(table)[0],
            "rows": forms.cells(table)[1],
            "note": forms.note(table),
            "chart": whiskers(f"Scores, {table.column}", _score_rows(table)),
        }
        for table in tables
    ]
    images = [
        {"name": path.stem, "data": "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()}
        for path in plots
        if path.suffix == ".png"
    ]
    rows = [_run_row(run) for run in runs]
    return render("comparison.html.j2", {}, sections=sections, images=images, runs=runs, rows=rows)


def _run_row(run: RunFolder) -> tuple[object, ...]:
    result = run.result
    named = (result[key] for key in ("task", "method", "model", "seed", "split", "metric"))
    short = " (fewer than the budget)" if (result.get("budget") or {}).get("equal") is False else ""
    return run.name, *named, frozen(result), f"{result['counts']['train']}{short}"


def _score_rows(table: Table) -> list[Whisker]:
    rows = []
    for task in table.tasks:
        own = [row for row in table.rows if row.group.task == task]
        base = own[0].baseline
        rows.append(Whisker(f"{task}: few-shot ICL", base.value, base.ci_low, base.ci_high, 9))
        for row in own:
            rank = table.variants.index(row.group.variant) % 8
            # The label is short: what tells variants apart comes after the method's name.
            name = f"{task}: {row.group.variant.split(', ', 1)[-1]}"
            rows.append(Whisker(name, row.score.value, row.score.ci_low, row.score.ci_high, rank))
    return rows

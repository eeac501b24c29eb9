"""Tables as Markdown, LaTeX and CSV, by pandas; every cell is escaped for its medium. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfguide.core.escaping import csv_cell, latex, markdown_cell


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table for people: a title, a header, rows; the first `text` columns are text, the others figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int = 1


def to_markdown(sheet: Sheet) -> str:
    """A table as GitHub shows it, without the title."""
    align = ["left"] * sheet.text + ["right"] * (len(sheet.header) - sheet.text)
    frame = _frame(sheet.header, sheet.rows).map(markdown_cell)
    header = [markdown_cell(cell) for cell in sheet.header]
    return str(frame.to_markdown(index=False, headers=header, colalign=align, disable_numparse=True))


def to_latex(sheet: Sheet) -> str:
    """A `tabular` with booktabs, to be put into a `table`; the title is a comment."""
    columns = "l" * sheet.text + "r" * (len(sheet.header) - sheet.text)
    frame = _frame([latex(cell) for cell in sheet.header], sheet.rows).map(latex)
    return f"% {latex(sheet.title)}\n{frame.to_latex(index=False, escape=False, column_format=columns)}"


def to_csv(header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per row, in the columns of `header`; what a row lacks is empty."""
    frame = _frame(header, [[csv_cell(row.get(name)) for name in header] for row in rows])
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _frame(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    import pandas as pd

    # Objects: a column with gaps keeps its whole numbers whole.
    return pd.DataFrame([list(row) for row in rows], columns=list(header), dtype=object)

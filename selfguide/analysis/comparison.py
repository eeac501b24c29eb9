"""The comparison of several runs as a folder: a page, tables in three forms, charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.analysis.compare import BASELINE, Column, Group, grouped, shared_instances
from selfguide.analysis.figures import (
    Difference,
    Figure,
    Figures,
    figures_of,
    interval_of,
    p_value,
    with_interval,
)
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import frozen, render
from selfguide.analysis.plots import plots_of, scores
from selfguide.analysis.svg import standalone
from selfguide.core.errors import DataError
from selfguide.core.files import write_text
from selfguide.core.tables import Sheet, to_csv, to_latex, to_markdown

PAGE = "comparison.html"
MEAN = "mean"
HEADER = ("task", "variant", "seeds", "n", BASELINE, "score", "gain", "p", "p (Holm)")
CONTROL_HEADER = ("over the control", "p (Holm)  ")
CSV_HEADER = (
    "metric", "extraction", "decoding", "split", "task", "variant", "seeds", "frozen", "n",
    *(f"{name}_{end}" for name in ("baseline", "score", "gain") for end in ("value", "ci_low", "ci_high")),
    "p", "p_holm", *(f"over_control_{end}" for end in ("value", "ci_low", "ci_high", "p", "p_holm")),
    "reference", "over_reference", "over_reference_p_holm",
)  # fmt: skip
SEEN = "SEEN"  # beside a score: instances that are scored on were there to learn from when a model was made
UNFROZEN = "UNFROZEN"  # beside a score: on the test split of a test task, and no frozen setting


@dataclass(frozen=True, slots=True)
class Table:
    """All groups of one column with their figures; the first variant is the reference that others are compared with.

    Holm's correction is over the tasks of a variant.
    """

    column: Column
    groups: tuple[Group, ...]
    variants: tuple[str, ...]
    figures: Figures
    averages: Figures

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of the rows."""
        return tuple(dict.fromkeys(group.task for group in self.groups))

    def figure(self, group: Group) -> Figure:
        """The figure of one of the groups."""
        return self.figures[group.variant, group.task]


def compare(runs: Sequence[RunFolder]) -> list[Table]:
    """One table for each column, most tasks first. Raises `DataError` for runs that cannot be compared."""
    if not runs:
        raise DataError("no runs to compare")
    tables = [_table(column, groups) for column, groups in grouped(runs).items()]
    return sorted(tables, key=lambda table: (-len(table.groups), str(table.column)))


def _table(column: Column, groups: Sequence[Group]) -> Table:
    variants = tuple(dict.fromkeys(group.variant for group in groups))
    ordered = sorted(groups, key=lambda group: (group.task, variants.index(group.variant)))
    tasks = list(dict.fromkeys(group.task for group in ordered))
    for task in tasks:
        shared_instances([run for group in ordered if group.task == task for run in group.runs])
    figures, averages = figures_of(ordered, {MEAN: tasks}, variants[0], by_variant=True)
    return Table(column, tuple(ordered), variants, figures, averages)


def write_comparison(runs: Sequence[RunFolder], folder: Path, *, plots: bool = True) -> list[Path]:
    """Write the comparison into `folder` and return its files. Raises `DataError` for runs that cannot be compared."""
    tables = compare(runs)
    charts = plots_of(tables) if plots else {}
    written = {
        PAGE: render_comparison(runs, tables),
        "comparison.md": markdown(tables),
        "comparison.csv": comma_separated(tables),
        "comparison.tex": "\n\n".join(to_latex(sheet(table)) for table in tables),
        **{f"plots/{name}.svg": standalone(chart) for name, chart in charts.items()},
    }
    (folder / "plots" if charts else folder).mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        write_text(folder / name, text)
    return [folder / name for name in written]


def render_comparison(runs: Sequence[RunFolder], tables: Sequence[Table]) -> str:
    """The comparison page as text; charts are inside it."""
    sections = [
        {
            "column": str(table.column),
            "table": sheet(table),
            "note": note(table),
            "scores": scores(table),
            "plots": plots_of([table]),
        }
        for table in tables
    ]
    return render("comparison.html.j2", None, sections=sections, runs=runs, rows=[_run_row(run) for run in runs])


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's tables, one under each column's name."""
    return "\n".join(f"### {table.column}\n\n{to_markdown(sheet(table))}\n\n{note(table)}\n" for table in tables)


def sheet(table: Table) -> Sheet:
    """Rows for people: percent with intervals, a mean row for each variant that has all tasks."""
    several, control = len(table.variants) > 1, controlled(table)

    def cells(groups: Sequence[Group], figure: Figure) -> list[str]:
        over = figure.over_control
        beside = [_difference(over)[0], p_value(over.holm if over else None)] if control else []
        return [*_figures(groups, figure), *beside, *(_against(figure) if several else [])]

    rows = [
        [group.task, group.variant, ", ".join(map(str, group.seeds)), *cells([group], table.figure(group))]
        for group in table.groups
    ]
    if len(table.tasks) > 1:
        for (variant, _), figure in table.averages.items():
            groups = [group for group in table.groups if group.variant == variant]
            rows.append([f"mean of {len(table.tasks)}", variant, "", *cells(groups, figure)])
    more = list(CONTROL_HEADER) if control else []
    more += [f"over {table.variants[0]}", "p (Holm) "] if several else []
    return Sheet(str(table.column), [*HEADER, *more], rows, text=3)


def controlled(table: Table) -> bool:
    """Whether a variant was scored beside its control."""
    return any(figure.over_control for figure in table.figures.values())


def comma_separated(tables: Sequence[Table]) -> str:
    """All columns in one file, scores from 0 to 1; the first columns tell metric and split, so nothing is mixed up."""
    return to_csv(CSV_HEADER, [_csv_row(table, group) for table in tables for group in table.groups])


def note(table: Table) -> str:
    """What the figures of a table are."""
    loose = any(group.frozen is False for group in table.groups)
    return (
        "Percent with 95 % bootstrap intervals over seeds and instances; gain: points over few-shot ICL on the same "
        "instances, with the 95 % t interval over seeds and instances; p: of the same t test, or of sign flips over "
        f"the instances if larger, corrected by Holm over the variant's tasks ({len(table.tasks)} in this table). "
        "A single run has the intervals and the test of its own report."
        + " Over the control: points over the same model finetuned on the demonstrations alone, tested alike."
        * controlled(table)
        + f" {UNFROZEN}: on the test split of a test task, and no frozen setting." * loose
        + f" {SEEN}: a model was made with instances that it is scored on." * any(group.seen for group in table.groups)
    )


def _figures(groups: Sequence[Group], figure: Figure) -> list[str]:
    loose = any(group.frozen is False for group in groups)
    return [
        str(figure.score.n), with_interval(interval_of(groups, "baseline")),
        with_interval(figure.score) + f" {UNFROZEN}" * loose + f" {SEEN}" * any(group.seen for group in groups),
        *_difference(figure.gain),
        p_value(figure.gain.holm if figure.gain else None),
    ]  # fmt: skip


def _against(figure: Figure) -> list[str]:
    return [_difference(figure.against)[0], p_value(figure.against.holm if figure.against else None)]


def _difference(difference: Difference | None) -> tuple[str, str]:
    return ("", "") if difference is None else (with_interval(difference.gain), p_value(difference.gain.p))


def _csv_row(table: Table, group: Group) -> dict[str, Any]:
    figure = table.figure(group)
    gain, against = figure.gain, figure.against
    row = table.column._asdict() | {
        "task": group.task, "variant": group.variant, "seeds": " ".join(map(str, group.seeds)),
        "frozen": None if group.frozen is None else str(group.frozen).lower(), "n": figure.score.n,
        "reference": table.variants[0],
    }  # fmt: skip
    shown = {"baseline": interval_of([group], "baseline"), "score": figure.score, "gain": gain.gain if gain else None}
    for name, value in shown.items():
        row |= {f"{name}_{end}": getattr(value, end, None) for end in ("value", "ci_low", "ci_high")}
    if gain is not None:
        row |= {"p": gain.gain.p, "p_holm": gain.holm}
    if (over := figure.over_control) is not None:
        row |= {f"over_control_{end}": getattr(over.gain, end) for end in ("value", "ci_low", "ci_high", "p")}
        row |= {"over_control_p_holm": over.holm}
    if against is not None:
        row |= {"over_reference": against.gain.value, "over_reference_p_holm": against.holm}
    return row


def _run_row(run: RunFolder) -> tuple[object, ...]:
    result = run.result
    named = (result[key] for key in ("task", "method", "model", "seed", "split", "metric"))
    short = " (fewer than the budget)" if (result.get("budget") or {}).get("equal") is False else ""
    return run.name, *named, frozen(result), f"{result['counts']['train']}{short}"

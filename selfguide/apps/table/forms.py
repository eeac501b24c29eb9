"""The table's files as text: Markdown and LaTeX of the sheets, CSV of figures and of runs. Pure."""

from collections.abc import Sequence
from typing import Any

from selfguide.analysis.compare import CONTROL
from selfguide.analysis.figures import Difference, Figure
from selfguide.apps.table.figures import Figures
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.published import Published
from selfguide.apps.table.sheets import COSTS
from selfguide.apps.table.work import Done
from selfguide.core.escaping import latex as tex
from selfguide.core.escaping import markdown_cell
from selfguide.core.tables import Sheet, to_csv, to_latex, to_markdown

RUN_HEADER = (
    "row", "group", "task", "seed", "status", "metric", "split", "n", "score", "score_ci_low", "score_ci_high",
    "few_shot_icl", "gain", "gain_p", "over_control", "over_control_p", "frozen", "train_rows", "synthetic_rows",
    "equal_footing", *COSTS, "model", "engine", "version", "git", "folder", "reason",
)  # fmt: skip
FIGURE_HEADER = (
    "row", "label", "group", "task", "metric", "extraction", "decoding", "split", "seeds", "planned_seeds", "n",
    "score", "score_ci_low", "score_ci_high", "gain", "gain_ci_low", "gain_ci_high", "p", "p_holm",
    "over_control", "over_control_ci_low", "over_control_ci_high", "over_control_p", "over_control_p_holm",
    "over_reference", "over_reference_ci_low", "over_reference_ci_high", "over_reference_p", "over_reference_p_holm",
    "unfrozen", "seen", "empty_datasets", "seed_only", "unequal", "failed", *COSTS, "published", "published_metric",
    "published_model", "published_source",
)  # fmt: skip
MEAN = "(mean)"


def markdown(heading: Sequence[str], sheets: Sequence[Sheet], notes: Sequence[str]) -> str:
    """All sheets and the notes under the heading (title, command, terms), as GitHub shows them."""
    title, command, terms = heading
    parts = [f"# {title}", f"`{command}`", terms]
    parts += [f"## {sheet.title}\n\n{to_markdown(sheet)}" for sheet in sheets]
    return "\n\n".join([*parts, "\n".join(f"- {markdown_cell(note)}" for note in notes)]) + "\n"


def latex(sheets: Sequence[Sheet], notes: Sequence[str]) -> str:
    """All sheets; the notes are comments."""
    return "\n\n".join(["\n".join(f"% {tex(note)}" for note in notes), *map(to_latex, sheets)])


def runs_csv(done: Sequence[Done]) -> str:
    """One line per run, scores from 0 to 1; what was not run or failed has a line without a score."""
    return to_csv(RUN_HEADER, [_run_row(one) for one in done])


def figures_csv(grid: Grid, figures: Figures, published: Sequence[Published]) -> str:
    """One line per row and task, and per row and average, scores from 0 to 1, published values as they are."""
    known = {(grid.standing_for(v.row), v.on): v for v in published if isinstance(v.on, str)}
    rows = []
    for group, content in grid.groups.items():
        for row, labelled in grid.rows.items():
            about: dict[str, Any] = {"row": row, "label": labelled.label, "group": group}
            for task in content.tasks:
                entry = figures.entries[row, task]
                rows.append(
                    about
                    | {
                        "task": task,
                        "seeds": " ".join(sorted(str(run.result["seed"]) for run in entry.runs)),
                        "planned_seeds": entry.planned,
                        "unfrozen": entry.unfrozen if entry.runs else "",
                        "seen": entry.seen if entry.runs else "",
                        "empty_datasets": entry.empty,
                        "seed_only": entry.seed_only,
                        "unequal": entry.unequal,
                        "failed": len(entry.failures),
                    }
                    | _figure_row(entry.figure)
                    | _published_row(known.get((row, task)))
                )
            average = figures.averages.get((row, group))
            mean = {"task": MEAN, **_figure_row(average), **figures.costs[row]}
            rows.append(about | mean | _published_row(known.get((row, group))))
    return to_csv(FIGURE_HEADER, rows)


def _run_row(one: Done) -> dict[str, Any]:
    cell = one.cell
    row: dict[str, Any] = {"row": cell.row, "group": cell.group, "task": cell.task, "seed": cell.seed}
    row |= {"status": one.status, "reason": one.reason}
    if one.run is None:
        return row
    result = one.run.result
    costs, over_control = result.get("costs", {}), result.get("gains", {}).get(CONTROL, {})
    answers = {f"answer_{name}": value for name, value in costs.get("answers", {}).items()}
    return {
        **row,
        **{name: value for name, value in {**costs.get("method", {}), **answers}.items() if name in COSTS},
        **{name: result[name] for name in ("metric", "split", "frozen", "model", "engine", "git")},
        "n": result["score"]["n"],
        "score": result["score"]["value"],
        "score_ci_low": result["score"]["ci_low"],
        "score_ci_high": result["score"]["ci_high"],
        "few_shot_icl": result["baseline"]["value"],
        "gain": result["gain"]["value"],
        "gain_p": result["gain"]["p"],
        "over_control": over_control.get("value"),
        "over_control_p": over_control.get("p"),
        "train_rows": result["counts"]["train"],
        "synthetic_rows": result["counts"].get("synthetic"),
        "equal_footing": (result.get("budget") or {}).get("equal"),
        "version": result["versions"]["selfguide"],
        "folder": str(one.run.path),
    }


def _figure_row(figure: Figure | None) -> dict[str, Any]:
    if figure is None:
        return {}
    score = figure.score
    return {
        **figure.column._asdict(),
        "n": score.n,
        "score": score.value,
        "score_ci_low": score.ci_low,
        "score_ci_high": score.ci_high,
        **_difference_row(figure.gain, "gain", ""),
        **_difference_row(figure.over_control, "over_control", "over_control_"),
        **_difference_row(figure.against, "over_reference", "over_reference_"),
    }


def _difference_row(difference: Difference | None, name: str, test: str) -> dict[str, Any]:
    if difference is None:
        return {}
    gain = difference.gain
    interval = {name: gain.value, f"{name}_ci_low": gain.ci_low, f"{name}_ci_high": gain.ci_high}
    return {**interval, f"{test}p": gain.p, f"{test}p_holm": difference.holm}


def _published_row(value: Published | None) -> dict[str, Any]:
    if value is None:
        return {}
    figure = value.score if value.gain is None else value.gain
    metric = value.metric if value.gain is None else f"gain over {value.over}, {value.metric}"
    named = {"published_model": value.model, "published_source": value.source}
    return {"published": figure, "published_metric": metric, **named}

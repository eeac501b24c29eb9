"""The figures of a table laid out for people: sheets of cells, and the notes under them. Pure."""

from collections.abc import Callable, Sequence

from selfguide.analysis.figures import Difference, Figure, with_interval
from selfguide.apps.table.beside import (
    BETTER,
    SIGNIFICANT,
    WORSE,
    difference_cell,
    direction,
    metric_name,
    published_sheet,
)
from selfguide.apps.table.figures import SHARE, Entry, Figures, most_of
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.published import Published
from selfguide.apps.table.work import Done
from selfguide.config.table import EQUAL, TableConfig
from selfguide.core.tables import Sheet

COSTS = {
    "calls": "calls", "teacher_calls": "of the teacher", "student_calls": "of the student",
    "prompt_tokens": "prompt tokens", "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens", "steps": "steps", "device_seconds": "device-seconds",
    "kept": "unique synthetic rows kept", "kept_per_1000_calls": "kept per 1,000 calls of the teacher",
    "answer_calls": "calls to answer",
    "answer_prompt_tokens": "prompt tokens to answer", "answer_generated_tokens": "generated tokens to answer",
}  # fmt: skip
UNFROZEN, SEEN, EMPTY, SEED_ONLY, UNEQUAL = "†", "§", "∅", "‡", "≠"


def sheets(config: TableConfig, grid: Grid, figures: Figures, published: Sequence[Published]) -> list[Sheet]:
    """Averages, each group's tasks, the comparison with the reference row, costs, published values."""
    laid_out = [_averages(grid, figures)]
    laid_out += [_tasks(grid, figures, group) for group in grid.groups]
    if any(entry.figure and entry.figure.over_control for entry in figures.entries.values()):
        laid_out.append(_differences(grid, figures, "Points over the control", lambda figure: figure.over_control))
    if config.reference is not None:
        title = f"Points over “{grid.rows[config.reference].label}”"
        laid_out.append(_differences(grid, figures, title, lambda figure: figure.against))
    laid_out.append(_costs(grid, figures))
    if published:
        laid_out.append(published_sheet(config, grid, figures, published))
    return laid_out


def _averages(grid: Grid, figures: Figures) -> Sheet:
    controlled = any(figure.over_control for figure in figures.averages.values())
    header = ["method"]
    for group, content in grid.groups.items():
        metric = _metric(figures, grid, group)
        header += [f"{content.label}, mean of {len(content.tasks)}" + (f" ({metric})" if metric else ""), "gain"]
        header += ["over the control"] * controlled
    rows = []
    for row, labelled in grid.rows.items():
        cells = [labelled.label]
        for group in grid.groups:
            figure = figures.averages.get((row, group))
            incomplete = _incomplete([figures.entries[row, task] for task in grid.groups[group].tasks])
            cells += [_score(figure, incomplete if figure else ""), difference_cell(figure.gain if figure else None)]
            cells += [difference_cell(figure.over_control if figure else None)] * controlled
        rows.append(cells)
    return Sheet("Averages", header, rows)


def _tasks(grid: Grid, figures: Figures, group: str) -> Sheet:
    content, metric = grid.groups[group], _metric(figures, grid, group)
    header = ["method"]
    for task in content.tasks:
        own = [f.column for row in grid.rows if (f := figures.entries[row, task].figure) is not None]
        header.append(task if metric or not own else f"{task} ({metric_name(own[0])})")
    rows = [
        [labelled.label, *(_cell(figures.entries[row, task]) for task in content.tasks)]
        for row, labelled in grid.rows.items()
    ]
    return Sheet(f"{content.label}: {metric}" if metric else content.label, header, rows)


def _differences(grid: Grid, figures: Figures, title: str, of: Callable[[Figure], Difference | None]) -> Sheet:
    """One kind of difference for each average and task; rows that have none are left out."""
    header = ["method"]
    for content in grid.groups.values():
        header += [f"{content.label}, mean of {len(content.tasks)}", *content.tasks]
    rows = []
    for row, labelled in grid.rows.items():
        cells = []
        for group, content in grid.groups.items():
            shown = [figures.averages.get((row, group)), *(figures.entries[row, t].figure for t in content.tasks)]
            cells += [difference_cell(of(figure) if figure else None) for figure in shown]
        if any(cells):
            rows.append([labelled.label, *cells])
    return Sheet(title, header, rows)


def _costs(grid: Grid, figures: Figures) -> Sheet:
    rows = [
        [labelled.label, *(_amount(figures.costs[row][name]) for name in COSTS)] for row, labelled in grid.rows.items()
    ]
    return Sheet("Costs: means over runs", ["method", *COSTS.values()], rows)


def terms(config: TableConfig, grid: Grid, done: Sequence[Done]) -> str:
    """What the rows of a table have in common, and how much of it."""
    if config.equal is None:
        return "Not on equal terms: the rows differ in how much they make or train on, as the table asks about that."
    said = f"Equal terms: every row that makes data {EQUAL[config.equal]}"
    runs = {task: [one.run for one in done if one.run is not None and one.cell.task == task] for task in grid.tasks}
    if config.equal == "budget":
        budgets = [budget for some in runs.values() for run in some if (budget := run.result.get("budget"))]
        most, unit = {budget["asked"] for budget in budgets}, "/".join({budget["unit"]: 0 for budget in budgets})
        short = "that falls short of its budget, or has none,"
    else:
        most, unit = {most_of(config.equal, some) for some in runs.values() if some}, "most on a task"
        short = f"with less than {100 * SHARE:g} % of the most on its task"
    amounts = f" ({' to '.join(f'{value:,.0f}' for value in sorted({min(most), max(most)}))}, {unit})" if most else ""
    return f"{said}{amounts}. A row {short} is marked {UNEQUAL}."


def notes(config: TableConfig, grid: Grid, figures: Figures, done: Sequence[Done]) -> list[str]:
    """What the figures are, and what is missing and why."""
    finished = [one.run for one in done if one.run is not None]
    said = [
        f"{len(finished)} of {len(done)} runs are finished. Seeds: {', '.join(map(str, grid.seeds))}. "
        f"Model: {_models(figures) or 'none run'}. Instances per task: {_range(figures) or 'none run'}.",
        "Percent: mean over seeds and instances, for an average also over tasks, with 95 % bootstrap intervals that "
        "resample seeds and instances. Gain: points over few-shot ICL on the same instances, with 95 % t intervals of "
        "the spread over seeds and over instances (three seeds that differ give wide ones); a single run has the "
        "intervals and the test of its own report. Over the control: points over the same model finetuned on the "
        "demonstrations alone. "
        f"{BETTER} {WORSE}: better or worse than it with p < {SIGNIFICANT} in the test of that interval (and in the "
        "sign-flip test over instances), corrected by Holm over all tasks and methods (averages: over all averages) of "
        "this table: a mark has an interval without 0.",
        f"{UNFROZEN}: on the test split of a test task without a frozen setting. {SEEN}: the model of at "
        f"least one run was made with instances that the run is scored on. {EMPTY}: no training data came out in "
        f"at least one run, which then scores as the base model. {SEED_ONLY}: in at least one run no synthetic row was "
        f"trained on, but the method's seed data alone. {UNEQUAL}: at least one run is not on equal terms: it had "
        "fewer rows, tokens or steps than its budget asks for, or less of what the rows have in common. (2/3): two of "
        "three seeds are there. An empty cell was not run.",
        "Costs: to make what answers, then to answer the evaluation's instances. A call is one completion; the "
        "teacher's make the data (also where the model teaches itself), the student's diagnose and score. Trained "
        "tokens are those with a loss, over all epochs; work laid_out in the store counts as when it was computed.",
    ]
    if config.published is not None:
        said.append(
            "Published values: “ours, same model” is blank unless the runs are of the published model. The bundled "
            "model answers the bundled tasks in the metric named: it can show the effect, not the value."
        )
    for row, labelled in grid.rows.items():
        run = next((one.run for one in done if one.run is not None and one.cell.row == row), None)
        if run is not None and run.description.data:
            said.append(f"{labelled.label}: {' '.join(run.description.data)}")
    failures: dict[str, list[str]] = {}
    for one in done:
        if one.reason is not None:
            failures.setdefault(one.reason, []).append(one.cell.name)
    for reason, names in failures.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        said.append(f"Failed: {'; '.join(names[:3])}{more}: {reason}")
    return said


def _cell(entry: Entry) -> str:
    if entry.figure is None:
        return "failed" if entry.failures else ""
    gain = entry.figure.gain
    marks = (direction(gain) if gain else "") + UNFROZEN * entry.unfrozen
    marks += SEEN * entry.seen + EMPTY * bool(entry.empty)
    marks += SEED_ONLY * bool(entry.seed_only) + UNEQUAL * bool(entry.unequal)
    return _score(entry.figure, _incomplete([entry]), marks)


def _score(figure: Figure | None, incomplete: str, marks: str = "") -> str:
    if figure is None:
        return ""
    return " ".join(part for part in (with_interval(figure.score), marks, incomplete) if part)


def _incomplete(entries: Sequence[Entry]) -> str:
    there, planned = sum(len(entry.runs) for entry in entries), sum(entry.planned for entry in entries)
    return f"({there}/{planned})" if there < planned else ""


def _metric(figures: Figures, grid: Grid, group: str) -> str:
    """The metric that all figures of a group share, or nothing."""
    tasks = grid.groups[group].tasks
    columns = {f.column for row in grid.rows for task in tasks if (f := figures.entries[row, task].figure) is not None}
    return metric_name(next(iter(columns))) if len(columns) == 1 else ""


def _models(figures: Figures) -> str:
    return ", ".join(dict.fromkeys(run.result["model"] for entry in figures.entries.values() for run in entry.runs))


def _range(figures: Figures) -> str:
    sizes = {entry.figure.score.n for entry in figures.entries.values() if entry.figure is not None}
    return "" if not sizes else f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if 0 < value < 100 else f"{value:,.0f}"

"""The figures of a table laid out for people: sheets of cells, and the notes under them. Pure."""

from collections.abc import Callable, Sequence

from selfguide.analysis.compare import BASELINE, Column
from selfguide.analysis.figures import Difference, Figure, with_interval
from selfguide.apps.table.figures import Entry, Figures
from selfguide.apps.table.grid import Grid
from selfguide.apps.table.published import Published
from selfguide.apps.table.work import Done
from selfguide.config.builtin import METRICS
from selfguide.config.table import TableConfig
from selfguide.core.tables import Sheet

COSTS = {
    "calls": "calls", "teacher_calls": "of the teacher", "student_calls": "of the student",
    "prompt_tokens": "prompt tokens", "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens", "steps": "steps", "device_seconds": "device-seconds",
    "kept": "unique synthetic rows kept", "kept_per_1000_calls": "kept per 1,000 calls of the teacher",
    "answer_calls": "calls to answer",
    "answer_prompt_tokens": "prompt tokens to answer", "answer_generated_tokens": "generated tokens to answer",
}  # fmt: skip
SIGNIFICANT = 0.05
BUNDLED = "micro"  # model.path
BETTER, WORSE, UNFROZEN, SEEN, EMPTY, SEED_ONLY, OFF_BUDGET = "↑", "↓", "†", "§", "∅", "‡", "≠"


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
        laid_out.append(_published(config, grid, figures, published))
    return laid_out


def metric_name(column: Column) -> str:
    """What a column measures, in words."""
    return METRICS.title(column.metric) + (", constrained" if column.decoding == "constrained" else "")


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
            cells += [_score(figure, incomplete if figure else ""), _difference(figure.gain if figure else None)]
            cells += [_difference(figure.over_control if figure else None)] * controlled
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
            cells += [_difference(of(figure) if figure else None) for figure in shown]
        if any(cells):
            rows.append([labelled.label, *cells])
    return Sheet(title, header, rows)


def _costs(grid: Grid, figures: Figures) -> Sheet:
    rows = [
        [labelled.label, *(_amount(figures.costs[row][name]) for name in COSTS)] for row, labelled in grid.rows.items()
    ]
    return Sheet("Costs: means over runs", ["method", *COSTS.values()], rows)


def _published(config: TableConfig, grid: Grid, figures: Figures, published: Sequence[Published]) -> Sheet:
    header = ["method", "on", "published as", "published", "ours, same model", "bundled model", "ours as", "source"]
    rows = []
    for value in published:
        named = config.rows.get(value.row) or grid.rows.get(value.row)
        on = grid.groups[value.on].label if value.on in grid.groups else value.on
        as_published = f"{value.metric}, {value.model}"
        if value.gain is not None:
            as_published = f"gain over {value.over}: {as_published}"
        reference = grid.rows[config.reference].label if config.reference in grid.rows else ""
        theirs, ours = _as_printed(value), _ours(grid, figures, value, reference)
        rows.append([named.label if named else value.row, on, as_published, theirs, *ours, value.source])
    return Sheet("Published values", header, rows, text=3)


def _ours(grid: Grid, figures: Figures, value: Published, reference: str) -> tuple[str, str, str]:
    """Our figure with the published model or with the bundled one, and what it measures; blank for any other model."""
    row = grid.standing_for(value.row)
    entry = figures.entries.get((row, value.on))
    figure = figures.averages.get((row, value.on)) or (entry.figure if entry else None)
    shown = _beside(value, figure, reference) if figure is not None else ""
    if figure is None or not shown:
        return "", "", ""
    tasks = grid.groups[value.on].tasks if value.on in grid.groups else [value.on]
    runs = [run for task in tasks for run in figures.entries[row, task].runs]
    named = f"{grid.rows[row].label}: {metric_name(figure.column)}"
    if all(value.is_of(run) for run in runs):
        return shown, "", named
    bundled = all(run.details["config"]["model"]["path"] == BUNDLED for run in runs)
    return ("", shown, named) if bundled else ("", "", "")


def _as_printed(value: Published) -> str:
    """With the decimals of the paper, one or two."""
    number = value.score if value.gain is None else value.gain
    assert number is not None
    form = ".1f" if round(number, 1) == number else ".2f"
    return format(number, form if value.gain is None else f"+{form}").replace("-", "−")


def _beside(value: Published, figure: Figure, reference: str) -> str:
    """Our figure of the same kind: a score, or a gain over the same baseline or the row that is called `reference`."""
    if value.gain is None:
        return with_interval(figure.score)
    over = {BASELINE: figure.gain, reference: figure.against}.get(value.over or "")
    return "" if over is None else _difference(over)


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
        f"trained on, but the method's seed data alone. {OFF_BUDGET}: at least one run had fewer rows, tokens or steps "
        "than the budget asks for, and is not on an equal footing. (2/3): two of three seeds are there. An empty cell "
        "was not run.",
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
    marks = (_direction(gain) if gain else "") + UNFROZEN * entry.unfrozen
    marks += SEEN * entry.seen + EMPTY * bool(entry.empty)
    marks += SEED_ONLY * bool(entry.seed_only) + OFF_BUDGET * bool(entry.off_budget)
    return _score(entry.figure, _incomplete([entry]), marks)


def _score(figure: Figure | None, incomplete: str, marks: str = "") -> str:
    if figure is None:
        return ""
    return " ".join(part for part in (with_interval(figure.score), marks, incomplete) if part)


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return " ".join(part for part in (with_interval(difference.gain), _direction(difference)) if part)


def _direction(difference: Difference) -> str:
    # A single run's interval is its bootstrap's: it may touch 0 where the test just passes.
    gain = difference.gain
    if difference.holm is None or difference.holm >= SIGNIFICANT or gain.ci_low <= 0 <= gain.ci_high:
        return ""
    return BETTER if difference.gain.value > 0 else WORSE


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

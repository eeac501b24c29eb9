"""What a comparison draws: scores and gains per task, score by cost, the scaling curve, the ablation of filters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from selfguide.analysis.charts import Bar, Curve, Whisker, bars, lines, whiskers
from selfguide.analysis.figures import interval_of

if TYPE_CHECKING:
    from selfguide.analysis.comparison import Table

# What a scaling curve may run along, the first that varies.
SIZES = ("generation.rounds", "generation.target", "annotation.max_rows", "generation.prompts_per_round")
FILTERS = ("filters.", "annotation.min_share", "annotation.balance", "annotation.samples")
PALETTE = (0, 2, 3, 5, 4, 7, 8, 6)  # classes of the page's style, told apart side by side


def plots_of(tables: "Sequence[Table]") -> dict[str, Markup]:
    """The charts that these runs can fill, by name; those of a second table are `gains-2` and so on."""
    charts = {}
    for index, table in enumerate(tables):
        end = f"-{index + 1}" if index else ""
        charts[f"gains{end}"] = gains(table)
        charts[f"cost{end}"] = cost(table)
        size = next((key for key in SIZES if varies(table, key)), None)
        if size is not None:
            charts[f"scaling{end}"] = scaling(table, size)
        named = [part for variant in table.variants for part in variant.split(", ") if "=" in part]
        if any(part.startswith(FILTERS) for part in named):
            charts[f"ablation{end}"] = ablation(table)
    return {name: chart for name, chart in charts.items() if chart}


def scores(table: "Table") -> Markup:
    """Each task's baseline and the scores of all variants."""
    rows = []
    for task in table.tasks:
        groups = [group for group in table.groups if group.task == task]
        base = interval_of(groups[:1], "baseline")
        rows.append(Whisker(f"{task}: few-shot ICL", base.value, base.ci_low, base.ci_high, 9))
        for group in groups:
            score = table.figure(group).score
            # The label is short: what tells variants apart comes after the method's name.
            name = f"{task}: {group.variant.split(', ', 1)[-1]}"
            rows.append(Whisker(name, score.value, score.ci_low, score.ci_high, _colour(table, group.variant)))
    return whiskers(f"Scores, {table.column}", rows)


def gains(table: "Table") -> Markup:
    """Gain over few-shot ICL in points for each task and variant, with intervals; largest first."""
    shown = [(group, figure.gain.gain) for group in table.groups if (figure := table.figure(group)).gain]
    largest = {task: max(g.value for group, g in shown if group.task == task) for task in {g.task for g, _ in shown}}
    shown.sort(key=lambda item: -largest[item[0].task])
    rows = [
        Whisker(group.task, gain.value, gain.ci_low, gain.ci_high, _colour(table, group.variant))
        for group, gain in shown
    ]
    legend = [(variant, _colour(table, variant)) for variant in table.variants if len(table.variants) > 1]
    return whiskers(f"Gain over few-shot ICL in points, {table.column}", rows, legend)


def cost(table: "Table") -> Markup:
    """Mean score in percent against what a run took to make, a dot for each variant that has all tasks."""
    curves = []
    for (variant, _), figure in (table.averages if len(table.variants) > 1 else {}).items():
        runs = [run for group in table.groups if group.variant == variant for run in group.runs]
        spent = [float(run.result["costs"]["method"]["device_seconds"]) for run in runs]
        seconds, mean = sum(spent) / len(spent), 100 * figure.score.value
        note = f"{variant}: {mean:.1f} for {seconds:.0f} device seconds a run"
        curves.append(Curve(variant, [seconds], [mean], _colour(table, variant), "dots", notes=[note]))
    return lines(f"Mean score by cost, {table.column}", curves, x_name="device seconds a run", y_name="percent")


def scaling(table: "Table", key: str) -> Markup:
    """Score in percent against the size `key`, a line for each task and its dashed baseline."""
    curves = []
    for rank, task in enumerate(table.tasks):
        groups = [group for group in table.groups if group.task == task and group.setting(key) is not None]
        groups.sort(key=lambda group: group.setting(key))
        xs, values = [group.setting(key) for group in groups], [table.figure(group).score for group in groups]
        band = [100 * value.ci_low for value in values], [100 * value.ci_high for value in values]
        colour = PALETTE[rank % len(PALETTE)]
        curves.append(Curve(task, xs, [100 * value.value for value in values], colour, band=band))
        base = [100 * interval_of([group], "baseline").value for group in groups]
        curves.append(Curve(f"{task}: few-shot ICL", xs, base, colour, "dashed"))
    return lines(f"Score by {key}, {table.column}", curves, x_name=key, y_name="percent")


def ablation(table: "Table") -> Markup:
    """Mean score over the tasks that all variants have, for each setting of the filters."""
    known = {(group.variant, group.task): table.figure(group).score.value for group in table.groups}
    tasks = [task for task in table.tasks if all((variant, task) in known for variant in table.variants)]
    rows = []
    for variant in table.variants if tasks else ():
        mean = 100 * sum(known[variant, task] for task in tasks) / len(tasks)
        rows.append(Bar(variant.split(", ", 1)[-1], mean, f"{mean:.1f}", _colour(table, variant)))
    return bars(f"Mean score over {len(tasks)} tasks in percent, {table.column}", rows)


def varies(table: "Table", key: str) -> bool:
    """Whether groups of one task differ in `key`."""
    values = [{group.setting(key) for group in table.groups if group.task == task} for task in table.tasks]
    return any(len(some - {None}) > 1 for some in values)


def _colour(table: "Table", variant: str) -> int:
    return PALETTE[table.variants.index(variant) % len(PALETTE)]

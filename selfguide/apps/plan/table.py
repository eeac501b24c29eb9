"""`selfguide plan +table=NAME size=paper gpu=h100`: what a table's runs take, without a model or data.

Counted from each run's configuration (`counts.py`), in hours of one card (`machines.py`). What the store shares between
rows, such as a data set, is each row's own in its line and counts once in the sum.
"""

from collections.abc import Iterable
from functools import reduce

from omegaconf import DictConfig

from selfguide.apps.plan.costs import Cost, costs_of
from selfguide.apps.plan.counts import Work
from selfguide.config.command import command
from selfguide.config.plan_table import AssumedConfig, PlanTableConfig
from selfguide.config.schema import RunConfig
from selfguide.models.memory import GIB

HEADER = (
    "row", "runs", "trainings", "calls of the teacher", "its tokens", "of the student", "trained tokens", "hours", "GiB"
)  # fmt: skip


@command("plan_table")
def main(config: DictConfig) -> None:
    """Forecast, and print it."""
    from selfguide.apps.table.composing import Composer
    from selfguide.apps.table.grid import grid
    from selfguide.config.commands import typed_table
    from selfguide.core.console import Terminal

    table = typed_table(config, PlanTableConfig)
    plan = grid(table)
    runs: dict[str, list[RunConfig]] = {row: [] for row in plan.rows}
    cells = [cell for cell in plan.cells if cell.seed == plan.seeds[0]]  # seeds differ in nothing that costs
    composer = Composer(cells)
    for cell in cells:
        runs[cell.row].append(composer.composed(cell))
    rows, total = forecast_table(runs, table, len(plan.seeds))
    terminal = Terminal()
    title = f"{table.title}: {table.size} size, {len(plan.cells)} runs, one {table.gpu}"
    lines = [(plan.rows[name].label, *_line(cost, len(runs[name]) * len(plan.seeds))) for name, cost in rows.items()]
    terminal.table(title, HEADER, [*lines, ("in all, shared work once", *_line(total, len(plan.cells)))])
    terminal.say(f"assumed where the data are unknown: {_said(table.assume)}; good to a factor of two or three")


def forecast_table(
    runs: dict[str, list[RunConfig]], table: PlanTableConfig, seeds: int
) -> tuple[dict[str, Cost], Cost]:
    """The cost of each row by itself, and of all of them together, for so many seeds."""
    known: dict[str, Cost] = {}
    rows = {}
    for name, configs in runs.items():
        own = costs_of(configs, table.assume, table.gpu)
        known |= own
        rows[name] = _sum(own.values(), seeds)
    return rows, _sum(known.values(), seeds)


def _sum(costs: Iterable[Cost], seeds: int) -> Cost:
    total = reduce(Cost.__add__, costs, Cost(Work(), 0.0, 0.0))
    work = reduce(Work.__add__, [total.work] * seeds)
    return Cost(work, total.hours * seeds, total.bytes * seeds)


def _line(cost: Cost, runs: int) -> tuple[str, ...]:
    work = cost.work
    return (
        str(runs), f"{work.trainings:,.0f}", amount(work.teacher_calls),
        amount(work.teacher_prompt + work.teacher_generated), amount(work.student_prompt + work.student_generated),
        amount(work.trained), f"{cost.hours:,.1f}", f"{cost.bytes / GIB:,.1f}",
    )  # fmt: skip


def amount(value: float) -> str:
    """`950`, `12.3 k`, `4.5 M`, `1.2 G`."""
    for size, name in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            return f"{value / (1e3 if name == ' k' else size):.1f}{name}"
    return f"{value:.0f}"


def _said(assumed: AssumedConfig) -> str:
    return ", ".join(f"{name}={value}" for name, value in vars(assumed).items())

"""A row that takes another row's run: it is told the folder of the same task and seed, and runs after it."""

import io
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from rich.console import Console

from selfguide.apps.table.cell import cell_workers
from selfguide.apps.table.grid import Cell, grid
from selfguide.apps.table.jobs import jobs_of
from selfguide.apps.table.work import Work, work
from selfguide.config.groups import register
from selfguide.config.loop import LoopConfig
from selfguide.config.table import RowConfig, TableConfig, table_problems
from selfguide.core.console import Terminal
from selfguide.core.paths import config_dir
from tests.composing import run_config
from tests.table.tables import SMALL
from tests.table.test_grid import table

KEY = "method.initial_data.extra_rows"


def first_cells(config: TableConfig) -> dict[str, Cell]:
    """One cell of each row."""
    plan = grid(config)
    task = next(iter(plan.groups.values())).tasks[0]
    return {cell.row: cell for cell in plan.cells if (cell.task, cell.seed) == (task, plan.seeds[0])}


@pytest.mark.parametrize("size", ["micro", "paper"])
def test_s3s_rows_can_make_what_the_budget_takes(size: str) -> None:
    config = table("s3_table2", f"size={size}")
    assert not list(table_problems(config))
    made = {}
    for row, cell in first_cells(config).items():
        run = run_config(*cell.overrides)
        if not isinstance(run.method, LoopConfig) or run.budget.kind == "none":
            continue
        assert run.budget.rows is not None and run.method.initial_data.items is not None
        rounds = run.method.loop.rounds or 0
        assert rounds == 0 or run.method.diagnose.max_exemplars is not None
        made[row] = (
            run.method.initial_data.items
            + rounds * (run.method.diagnose.max_exemplars or 0) * run.method.propose.per_exemplar
        )
        assert made[row] > run.budget.rows, row
    assert made["s3"] == made["goldgen"] == made["s3_no_rationales"]
    assert {"zerogen", "progen", "s3_seed", "zerogen_extrapolated"} < set(made)
    assert first_cells(config)["zerogen_with_s3s"].takes == ((KEY, "s3"),)


def test_a_row_is_told_the_folder_of_the_other(tmp_path: Path) -> None:
    cells = first_cells(table("s3_table2"))
    asked = [cells["zerogen_with_s3s"], cells["s3"]]
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        taker, giver = jobs_of(asked, tmp_path)
    assert giver.folder is not None and taker.config is not None
    assert isinstance(taker.config.method, LoopConfig)
    assert taker.config.method.initial_data.extra_rows == str(giver.folder)
    assert taker.after == (giver.folder,) and not taker.ready and giver.ready


def test_what_is_taken_is_run_first(tmp_path: Path) -> None:
    more = (
        "model=micro", "finetuning=none", "method.loop.rounds=1", "method.propose.show_demonstrations=true",
        "method.propose.draw.max_new_tokens=20", "method.attributes.kind=none", "method.filter.min_words=1",
        "method.initial_data.items=4", "method.diagnose.max_exemplars=4", f"store.root={tmp_path / 'store'}", *SMALL,
    )  # fmt: skip
    task = "micro_paint_or_stuff"
    s3 = ("method=s3", f"task={task}", "seed=0", *more)
    zerogen = ("method=zerogen", *s3[1:], "method.loop.rounds=0")
    cells = [
        Cell("zerogen", "g", task, 0, zerogen, ((KEY, "s3"),)),
        Cell("s3", "g", task, 0, s3),
        Cell("lost", "g", task, 0, zerogen, ((KEY, "broken"),)),
        Cell("broken", "g", task, 0, ("method=nonsense",)),
    ]
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cells_left = Work(jobs_of(cells, tmp_path / "runs"), ())
        done = work(cells_left, cell_workers(), Terminal(Console(file=io.StringIO())), lambda _: None)
    taker, giver, lost, _ = done
    assert taker.run is not None and giver.run is not None, taker.reason
    added = {c.input for c in giver.run.candidates if c.round > 0 and c.dropped is None}
    assert added and added <= {pair.input for pair in taker.run.pairs}
    assert lost.reason is not None and lost.reason.startswith(f"{KEY}: the row broken makes no run: ")


@pytest.mark.parametrize("giver", ["nobody", "zerogen_with_s3s", "chained"])
def test_a_row_that_cannot_be_taken_is_refused(giver: str) -> None:
    config = table("s3_table2")
    config.rows["chained"] = RowConfig("chained", [], takes={KEY: giver})
    [problem] = table_problems(config)
    assert problem.startswith(f"chained.takes.{KEY}: '{giver}' is not allowed; allowed: gold | zerogen | ")

"""`selfguide table +table=table_main`: runs what is missing of a table, writes it; see `conf/table.yaml`."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.apps.table.grid import Grid
    from selfguide.apps.table.published import Published
    from selfguide.apps.table.work import Done
    from selfguide.config.schema import RunConfig
    from selfguide.config.table import TableConfig

# Overrides of the table's command that are about its jobs.
LAUNCHER = re.compile(r"\+{0,2}hydra[./](launcher|callbacks)")


@command("table")
def main(config: DictConfig) -> None:
    """Run, write, print; leaves with 2 if a run failed."""
    from hydra.core.hydra_config import HydraConfig

    from selfguide.config.command import fail

    made = run_table(config, HydraConfig.get().overrides.hydra)
    failed = [cell for cell in made.done if cell.reason is not None]
    if failed:
        name, total = failed[0].cell.name, len(made.done)
        fail(f"{len(failed)} of {total} runs failed, the first ({name}) with: {failed[0].reason}")


class Made(NamedTuple):
    """What became of a table's runs, and the folder of its files."""

    done: "list[Done]"
    folder: Path


def run_table(config: DictConfig, overrides: Sequence[str] = ()) -> Made:
    """Run what is missing on the launcher of these overrides, write the files, show the table. Raises `ConfigError`."""
    from selfguide.config.commands import typed_table
    from selfguide.config.table import TableConfig
    from selfguide.core.files import write_text

    table = typed_table(config, TableConfig)
    from selfguide.apps.table.cell import cell_workers
    from selfguide.apps.table.forms import runs_csv
    from selfguide.apps.table.grid import grid
    from selfguide.apps.table.jobs import jobs_of
    from selfguide.apps.table.published import published
    from selfguide.apps.table.work import Work, work
    from selfguide.core.console import Terminal

    known = [] if table.published is None else published(table.published, table.published_as or table.name)
    plan, terminal, folder = grid(table), Terminal(), Path(table.output)
    folder.mkdir(parents=True, exist_ok=True)
    workers = cell_workers([one for one in overrides if LAUNCHER.match(one)])
    jobs = jobs_of(plan.cells, Path(table.runs))
    if said := about_disk([job.config for job in jobs if job.config is not None and not job.finished]):
        terminal.say(said)
    cells = Work(jobs, table.again)
    try:
        done = work(cells, workers, terminal, lambda so_far: write_text(folder / "results.csv", runs_csv(so_far)))
    except KeyboardInterrupt:
        write(table, plan, cells.so_far(), known)
        raise
    terminal.say(write(table, plan, done, known))
    return Made(done, folder)


def about_disk(configs: "list[RunConfig]") -> str | None:
    """What the runs to come leave in the store, and what is free there; None without runs."""
    from hydra import compose

    from selfguide.apps.plan.costs import bytes_of
    from selfguide.config.plan_table import AssumedConfig
    from selfguide.core.errors import SelfguideError
    from selfguide.core.paths import expanded
    from selfguide.models.memory import GIB

    if not configs:
        return None
    assumed = AssumedConfig(**compose("plan_table").assume)
    try:
        needed = bytes_of(configs, assumed)
    except SelfguideError:
        return None  # a model whose name does not tell its size
    root = expanded(configs[0].store.root)
    free = shutil.disk_usage(next(folder for folder in (root, *root.parents) if folder.exists())).free
    short = "; too little: choose another store.root" if free < needed else ""
    return f"disk: about {needed / GIB:.1f} GiB for {len(configs)} runs, {free / GIB:.0f} GiB free in {root}{short}"


def write(table: "TableConfig", plan: "Grid", done: "list[Done]", known: "list[Published]") -> str:
    """Write the four files, each whole or not at all; returns the Markdown."""
    from selfguide.analysis.details import command_line
    from selfguide.apps.table.figures import figures
    from selfguide.apps.table.forms import figures_csv, latex, markdown, runs_csv
    from selfguide.apps.table.sheets import notes, sheets, terms
    from selfguide.core.files import write_text

    folder = Path(table.output)
    write_text(folder / "results.csv", runs_csv(done))
    numbers = figures(plan, done, table.reference, table.equal)
    laid_out, said = sheets(table, plan, numbers, known), notes(table, plan, numbers, done)
    command = command_line("selfguide table") or f"selfguide table +table={table.name}"
    text = markdown((table.title, command, terms(table, plan, done)), laid_out, said)
    for name, content in {
        "table.md": text,
        "table.csv": figures_csv(plan, numbers, known),
        "table.tex": latex(laid_out, said),
    }.items():
        write_text(folder / name, content)
    return text

"""A cell of the table as a run: its configuration, and the folder that belongs to this configuration alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from selfguide.apps.table.composing import Composer
from selfguide.apps.table.grid import Cell
from selfguide.config.explain import explain
from selfguide.config.schema import RunConfig
from selfguide.core.errors import SelfguideError
from selfguide.search.content import run_identity


@dataclass(frozen=True, slots=True)
class Job:
    """`config` and `folder` are None where the overrides make no run; `problem` then says why.

    `after` are the folders of runs that have to be finished before it.
    """

    cell: Cell
    config: RunConfig | None = None
    folder: Path | None = None
    problem: str | None = None
    after: tuple[Path, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether what it takes from other runs is there."""
        return all((folder / "result.json").exists() for folder in self.after)

    @property
    def finished(self) -> bool:
        """Whether this very configuration was run to its end."""
        return self.folder is not None and (self.folder / "result.json").exists()


def jobs_of(cells: Sequence[Cell], runs: Path) -> list[Job]:
    """The jobs of a table's cells, in their order; a row that takes another's run is told its folder."""
    composer = Composer([cell for cell in cells if not cell.takes])
    given = {(cell.row, cell.task, cell.seed): job_of(cell, runs, composer) for cell in cells if not cell.takes}
    return [_taking(cell, given, runs) if cell.takes else given[cell.row, cell.task, cell.seed] for cell in cells]


def _taking(cell: Cell, given: Mapping[tuple[str, str, int], Job], runs: Path) -> Job:
    overrides, after = list(cell.overrides), []
    for key, row in cell.takes:
        giver = given[row, cell.task, cell.seed]
        if giver.folder is None:
            return Job(cell, problem=f"{key}: the row {row} makes no run: {giver.problem}")
        overrides.append(f"{key}='{giver.folder}'")
        after.append(giver.folder)
    return replace(job_of(replace(cell, overrides=tuple(overrides)), runs, Composer()), after=tuple(after))


def job_of(cell: Cell, runs: Path, composer: Composer) -> Job:
    """Compose a cell's run. Two tables that have the same run share its folder."""
    try:
        config = composer.composed(cell)
        folder = runs / cell.task / f"seed{cell.seed}-{run_identity(config)}"
    except (HydraException, OmegaConfBaseException) as error:
        return Job(cell, problem=explain(error))
    except SelfguideError as error:
        return Job(cell, problem=str(error))
    return Job(cell, config, folder)

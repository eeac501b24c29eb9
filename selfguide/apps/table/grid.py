"""The runs of a table, in the order of rows, tasks and seeds. Pure."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from selfguide.config.table import GroupConfig, RowConfig, SizeConfig, TableConfig


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the table; `overrides` are all that make it from the main job's configuration.

    Beside them a knob of `takes` is given the folder of another row's run of this task and seed.
    """

    row: str
    group: str
    task: str
    seed: int
    overrides: tuple[str, ...]
    takes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """How the terminal calls it."""
        return f"{self.row}, {self.task}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Grid:
    """What a table has at the chosen size."""

    rows: dict[str, RowConfig]
    groups: dict[str, GroupConfig]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, in the order of the groups."""
        return tuple(task for group in self.groups.values() for task in group.tasks)

    def standing_for(self, published: str) -> str:
        """The row that stands beside the published row of this name: the one that says so, else its namesake."""
        return next((name for name, row in self.rows.items() if row.published == published), published)


def grid(config: TableConfig) -> Grid:
    """All runs of the table: size, group, row and the command line change the configuration, in this order."""
    size: SizeConfig = config.sizes[config.size]
    rows = config.rows_at(config.size)
    cells = tuple(
        Cell(
            row,
            group,
            task,
            seed,
            merged(
                [f"task={task}", f"seed={seed}"],
                size.overrides,
                size.more,
                size.groups[group].overrides,
                rows[row].overrides,
                *(rows[row].at.get(place, ()) for place in (config.size, group)),
                config.overrides,
            ),
            tuple(rows[row].takes.items()),
        )
        # A task's rows follow each other: what they share is made once, and a table fills evenly.
        for seed in size.seeds
        for group in size.groups
        for task in size.groups[group].tasks
        for row in config.rows_at(config.size, group)
    )
    return Grid(rows, dict(size.groups), tuple(size.seeds), cells)


def merged(*lists: Iterable[str]) -> tuple[str, ...]:
    """Overrides in which each key occurs once, with the value it was given last."""
    last: dict[str, str] = {}
    for override in itertools.chain(*lists):
        last[override.partition("=")[0].lstrip("+")] = override
    return tuple(last.values())

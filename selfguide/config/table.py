"""The schema of `selfguide table`. Values and explanations: conf/table.yaml and conf/table/."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from omegaconf import MISSING

EQUAL = {
    "proposals": "asks for the same number of new inputs",
    "teacher_tokens": "has its teacher write the same number of tokens",
    "budget": "trains within the same budget",
}
"""What the rows of a table have in common."""
NAME = re.compile(r"[\w.-]+")


@dataclass
class RowConfig:
    """One variant: how the table calls it, and what it changes in the run.

    `at` has more overrides by size or group; `only` the sizes or groups that it is run at (empty: all).
    `published`: the row of the published values that it stands for in the paper's settings; a row
    is its namesake's unless another claims it.
    `takes` names another row for a knob that wants a run folder: the other row's run of the same task and seed.
    """

    label: str = MISSING
    overrides: list[str] = field(default_factory=list)
    at: dict[str, list[str]] = field(default_factory=dict)
    only: list[str] = field(default_factory=list)
    published: str | None = None
    takes: dict[str, str] = field(default_factory=dict)


@dataclass
class GroupConfig:
    """Tasks that are averaged; all of one metric."""

    label: str = MISSING
    tasks: list[str] = MISSING
    overrides: list[str] = field(default_factory=list)


@dataclass
class SizeConfig:
    """A scale to run the table at. `more` are overrides beside those of a table that it inherits from."""

    seeds: list[int] = MISSING
    overrides: list[str] = MISSING
    groups: dict[str, GroupConfig] = MISSING
    more: list[str] = field(default_factory=list)


@dataclass
class TableConfig:
    """A grid of runs: rows x tasks x seeds."""

    name: str = MISSING
    title: str = MISSING
    rows: dict[str, RowConfig] = field(default_factory=dict)
    sizes: dict[str, SizeConfig] = field(default_factory=dict)
    reference: str | None = None
    equal: str | None = MISSING
    size: str = MISSING
    overrides: list[str] = MISSING
    runs: str = MISSING
    again: list[str] = MISSING
    output: str = MISSING
    published: str | None = MISSING
    published_as: str | None = None

    def rows_at(self, size: str, group: str | None = None) -> dict[str, RowConfig]:
        """The rows that are run at a size: in one of its groups, or in any."""
        groups = self.sizes[size].groups if group is None else (group,)
        return {name: row for name, row in self.rows.items() if any(self._runs(row, size, one) for one in groups)}

    def _runs(self, row: RowConfig, size: str, group: str) -> bool:
        sizes = [place for place in row.only if place in self.sizes]
        groups = [place for place in row.only if place not in self.sizes]
        return (not sizes or size in sizes) and (not groups or group in groups)


def table_problems(config: TableConfig) -> Iterator[str]:
    """One line per mistake that no single key shows."""
    if config.size not in config.sizes:
        yield f"size: {config.size!r} is not allowed; allowed: {' | '.join(sorted(config.sizes))}"
        return
    size, rows = config.sizes[config.size], config.rows_at(config.size)
    if config.equal is not None and config.equal not in EQUAL:
        yield f"equal: {config.equal!r} is not allowed; allowed: {' | '.join(EQUAL)}, or null"
    places = [*config.sizes, *dict.fromkeys(group for some in config.sizes.values() for group in some.groups)]
    for name, row in config.rows.items():
        for place in (*row.at, *row.only):
            if place not in places:
                yield f"rows.{name}: {place!r} is no size or group of the table; allowed: {' | '.join(places)}"
    if not rows:
        yield "rows: has no value; allowed: at least one row"
    if config.reference is not None and config.reference not in rows:
        yield f"reference: {config.reference!r} is not allowed; allowed: {' | '.join(rows)}"
    givers = [name for name, row in rows.items() if not row.takes]
    for name, row in rows.items():
        for key, giver in row.takes.items():
            if giver not in givers:
                yield f"{name}.takes.{key}: {giver!r} is not allowed; allowed: {' | '.join(givers)}"
    for name in config.again:
        if name not in rows:
            yield f"again: {name!r} is not allowed; allowed: {' | '.join(rows)}"
    if not size.seeds or len(set(size.seeds)) < len(size.seeds):
        yield f"sizes.{config.size}.seeds: {size.seeds} is not allowed; allowed: at least one, each once"
    for name in (*rows, *size.groups):
        if not NAME.fullmatch(name):
            yield f"{name!r} is no name for a row or a group; allowed: letters, digits, _, . and -"
    tasks = [task for group in size.groups.values() for task in group.tasks]
    if not tasks:
        yield f"sizes.{config.size}.groups: no task in them; allowed: at least one"
    for task in sorted({task for task in tasks if tasks.count(task) > 1}):
        yield f"sizes.{config.size}.groups: {task} is in them more than once; allowed: each task once"

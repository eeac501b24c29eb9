"""The schema of `selfguide table`. Values and explanations: conf/table.yaml and conf/table/."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from omegaconf import MISSING

NAME = re.compile(r"[\w.-]+")


@dataclass
class RowConfig:
    """One variant: how the table calls it, and what it changes in the run.

    `published`: the row of the published values that it stands for in the paper's settings; a row
    is its namesake's unless another claims it.
    `takes` names another row for a knob that wants a run folder: the other row's run of the same task and seed.
    """

    label: str = MISSING
    overrides: list[str] = field(default_factory=list)
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
    """A scale to run the table at. `rows` are the variants of this size alone; without them the table's are run."""

    seeds: list[int] = MISSING
    overrides: list[str] = MISSING
    groups: dict[str, GroupConfig] = MISSING
    rows: dict[str, RowConfig] = field(default_factory=dict)


@dataclass
class TableConfig:
    """A grid of runs: rows x tasks x seeds."""

    name: str = MISSING
    title: str = MISSING
    rows: dict[str, RowConfig] = field(default_factory=dict)
    sizes: dict[str, SizeConfig] = field(default_factory=dict)
    reference: str | None = None
    size: str = MISSING
    overrides: list[str] = MISSING
    runs: str = MISSING
    again: list[str] = MISSING
    output: str = MISSING
    published: str | None = MISSING


def table_problems(config: TableConfig) -> Iterator[str]:
    """One line per mistake that no single key shows."""
    if config.size not in config.sizes:
        yield f"size: {config.size!r} is not allowed; allowed: {' | '.join(sorted(config.sizes))}"
        return
    size = config.sizes[config.size]
    rows = size.rows or config.rows
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

"""`selfguide run task=…`, or `python -m selfguide.main task=…`: the main job. Compose, check, run, print one table.

Read `conf/config.yaml` first, then this file, then `selfguide/pipeline.py`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.config.schema import RunConfig
    from selfguide.pipeline import RunResult


def main() -> None:
    """Entry point of `selfguide`: this job and the commands beside it."""
    from selfguide.cli import start_program

    start_program("selfguide", sys.argv[1:])


@command()
def job(config: DictConfig) -> float | None:
    """Run one task; returns what a sweeper maximises: the score of the method, None where nothing was measured."""
    from selfguide.config.command import in_multirun, run_folder, run_overrides

    score = run_composed(config, run_overrides(), run_folder(), in_multirun()).score
    return None if score is None else score.value


def run_composed(config: DictConfig, overrides: Sequence[str], folder: Path, many: bool = False) -> "RunResult":
    """Check a configuration as composed from `overrides` and run it; its files go into `folder`.

    One of `many` runs leaves its engine to the next one of this process.
    """
    from selfguide.config.validate import typed
    from selfguide.search.freeze import with_lock

    run_config = typed(with_lock(config, overrides))
    if run_config.extras.print_config:
        show_tree(run_config)
    # Everything heavy is behind this import, so a wrong value fails before torch is loaded.
    from selfguide.analysis.tracking import tracked
    from selfguide.core.console import Terminal
    from selfguide.models.pool import warm_pool
    from selfguide.pipeline import run

    with tracked(run_config, folder):
        if not many:
            return run(run_config, folder, Terminal())
        with warm_pool().lent(run_config) as engine:
            return run(run_config, folder, Terminal(), engine)


def show_tree(config: "RunConfig") -> None:
    """The configuration as a tree, without what is secret."""
    from dataclasses import asdict

    from rich.console import Console

    from selfguide.core.masking import masked
    from selfguide.core.tree import tree_of

    Console(highlight=False).print(tree_of("configuration", masked(asdict(config))))


if __name__ == "__main__":
    from selfguide.cli import start

    start("python -m selfguide.main", sys.argv[1:])

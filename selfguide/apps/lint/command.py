"""`selfguide lint task=…`: what would spoil a result, before a model is asked.

Exit code 0 with the findings printed; 2 for a mistake in the configuration or in a file.
"""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.apps.lint.checks import Finding
    from selfguide.config.schema import RunConfig
    from selfguide.core.types import TaskSpec
    from selfguide.tasks.gold import GoldData


@command("lint")
def main(config: DictConfig) -> None:
    """Print the findings about one task."""
    from selfguide.apps.lint.report import show
    from selfguide.config.validate import typed

    show(*findings(typed(config)))


def findings(run: "RunConfig") -> "tuple[TaskSpec, GoldData, list[Finding]]":
    """The task of a run, its gold, and what the linter says of them."""
    from selfguide.apps.lint.checks import lint_task
    from selfguide.apps.lint.report import measure_with
    from selfguide.search.protocol_check import AccessCounter
    from selfguide.tasks.load import load_task

    task, gold = load_task(run.task, run.data, run.seed)
    AccessCounter(run, gold, "selfguide.apps.lint")
    encode, context_length, unmeasured = measure_with(run.model)
    return task, gold, [*lint_task(task, gold, encode, context_length, run.filters), *unmeasured]

"""`python -m selfguide.lint task=…`: what would spoil a result, before a model is asked.

Exit code 0 with the findings printed; 2 for a mistake in the configuration or in a file.
"""

from omegaconf import DictConfig

from selfguide.config.command import command


@command("lint")
def main(config: DictConfig) -> None:
    """Print the findings about one task."""
    from selfguide.apps.lint.checks import lint_task
    from selfguide.apps.lint.report import measure_with, show
    from selfguide.config.validate import typed
    from selfguide.search.protocol_check import AccessCounter
    from selfguide.tasks.load import load_task

    run = typed(config)
    task, gold = load_task(run.task, run.data, run.seed)
    AccessCounter(run, gold, "selfguide.apps.lint")
    encode, context_length, unmeasured = measure_with(run.model)
    show(task, gold, [*lint_task(task, gold, encode, context_length), *unmeasured])

"""`python -m selfguide.main task=…`: the main job. Compose, check, run, print one table.

Read `conf/config.yaml` first, then this file, then `selfguide/pipeline.py`.
"""

from omegaconf import DictConfig

from selfguide.config.command import command


@command()
def main(config: DictConfig) -> float:
    """Run one task; returns what a sweeper maximises: the score of the method."""
    from selfguide.config.command import run_folder, run_overrides
    from selfguide.config.validate import typed
    from selfguide.search.freeze import with_lock

    run_config = typed(with_lock(config, run_overrides()))
    # Everything heavy is behind this import, so a wrong value fails before torch is loaded.
    from selfguide.analysis.tracking import tracked
    from selfguide.core.console import Terminal
    from selfguide.pipeline import run

    folder = run_folder()
    with tracked(run_config, folder):
        return run(run_config, folder, Terminal()).score.value


if __name__ == "__main__":
    main()

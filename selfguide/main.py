"""`python -m selfguide.main task=…`: the main job. Compose, check, run, print one table.

Read `conf/config.yaml` first, then this file, then `selfguide/pipeline.py`.
"""

from omegaconf import DictConfig

from selfguide.cli import command


@command()
def main(config: DictConfig) -> float:
    """Run one task; returns what a sweeper maximises: the score of the method."""
    from selfguide.cli import run_folder, run_number, run_overrides
    from selfguide.config.frozen import with_lock
    from selfguide.config.validate import typed

    run_config = typed(with_lock(config, run_overrides()))
    # Everything heavy is behind this import, so a wrong value fails before torch is loaded.
    from selfguide.pipeline import run
    from selfguide.together.engine import engine_for
    from selfguide.tracking import tracked
    from selfguide.ui.console import Terminal

    folder = run_folder()
    shared = engine_for(run_config)
    terminal = Terminal() if shared is None else Terminal.labelled(f"#{run_number()}")
    with tracked(run_config, folder):
        return run(run_config, folder, terminal, shared).score.value


if __name__ == "__main__":
    main()

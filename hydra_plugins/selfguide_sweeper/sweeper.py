"""The plugin as Hydra discovers it at every start: a shell that imports nothing heavy.

Hydra scans the modules of this package whose names do not start with an underscore, so that
everything else is behind `_run`.
"""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SelfguideSweeperConfig:
    """The keys of Hydra's own Optuna sweeper, for those who know them; null: what the `sweep` node says."""

    _target_: str = "hydra_plugins.selfguide_sweeper.sweeper.SelfguideSweeper"
    _recursive_: bool = False
    sampler: Any = None
    direction: str | None = None
    storage: str | None = None
    study_name: str | None = None
    n_trials: int | None = None
    n_jobs: int | None = None
    params: Any = None


ConfigStore.instance().store(
    group="hydra/sweeper", name="selfguide", node=SelfguideSweeperConfig, provider="selfguide_sweeper"
)


class SelfguideSweeper(Sweeper):
    """Asks Optuna for settings and runs each on several tasks; see `selfguide.search`."""

    def __init__(self, **_: Any) -> None:
        # What is given here is read from the configuration, with the `sweep` node.
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once by Hydra, with the configuration as composed from the command line."""
        from hydra.core.plugins import Plugins

        from selfguide.apps.sweep.job import SweepJob

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=SweepJob(task_function), config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search to its target; returns the winner's value, or None where no setting is admissible."""
        from selfguide.apps.sweep.run import run_sweep

        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        return run_sweep(self.config, self.launcher, self.hydra_context, arguments)

"""The plugin as Hydra discovers it at every start: a shell that imports nothing heavy. Knobs: conf/hydra/launcher."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class TogetherLauncher(Launcher):
    """Runs the jobs in turn, in this process, on one engine. See `selfguide.together`."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.config: DictConfig | None = None
        self.task_function: TaskFunction | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once by Hydra."""
        self.config, self.task_function, self.hydra_context = config, task_function, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; what failed is in its `JobReturn`."""
        from hydra_plugins.selfguide_launcher._jobs import launch

        assert self.config is not None and self.task_function is not None and self.hydra_context is not None
        return launch(self.config, self.task_function, self.hydra_context, self.at_once, job_overrides, initial_job_idx)

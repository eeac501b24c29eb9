"""`hydra/launcher=gpus`: jobs side by side on the GPUs of one machine, by joblib; see conf/hydra/launcher/gpus.yaml.

A slot is a GPU, or a share of one. Each worker process takes a slot for as long as it lives and sees its GPU alone,
as CUDA reads CUDA_VISIBLE_DEVICES once.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

POLL_S = 0.2
_taken: list[Any] = []  # of this worker process: the lock of its slot, held until it ends


class GpusLauncher(Launcher):
    """joblib's launcher with one worker for each slot."""

    def __init__(self, gpus: Sequence[int | str] | None = None, jobs_per_gpu: int = 1) -> None:
        self._gpus, self._per_gpu = gpus, jobs_per_gpu
        self.slots: list[str] = []
        self._inner: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once by Hydra. Raises `ConfigError` without a GPU."""
        from selfguide.core.errors import ConfigError
        from selfguide.core.optional import optional

        if self._per_gpu < 1:
            raise ConfigError(f"hydra.launcher.jobs_per_gpu: {self._per_gpu} is not allowed; allowed: >= 1")
        gpus = visible() if self._gpus is None else [str(gpu) for gpu in self._gpus]
        if not gpus:
            raise ConfigError("hydra.launcher.gpus: this machine shows no GPU; allowed: their numbers, e.g. [0,1]")
        self.slots = [gpu for _ in range(self._per_gpu) for gpu in gpus]
        launcher = optional("hydra_plugins.hydra_joblib_launcher.joblib_launcher", "hydra/launcher=gpus", "joblib")
        self._inner = launcher.JoblibLauncher(n_jobs=len(self.slots), batch_size=1, pre_dispatch="n_jobs")
        locks = Path(str(config.hydra.sweep.dir)) / ".slots"
        self._inner.setup(
            hydra_context=hydra_context, task_function=OnSlot(task_function, self.slots, locks), config=config
        )

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """See `Launcher.launch`."""
        return self._inner.launch(job_overrides, initial_job_idx=initial_job_idx)


class OnSlot:
    """The task function of a worker: the first call takes a free slot."""

    def __init__(self, task: TaskFunction, slots: Sequence[str], locks: Path) -> None:
        self.task, self.slots, self.locks = task, list(slots), locks.absolute()

    def __call__(self, config: DictConfig) -> Any:
        if not _taken:
            os.environ["CUDA_VISIBLE_DEVICES"] = self._take()
        return self.task(config)

    def _take(self) -> str:
        from filelock import FileLock, Timeout

        self.locks.mkdir(parents=True, exist_ok=True)
        while True:
            for index, gpu in enumerate(self.slots):
                lock = FileLock(self.locks / f"{index}.lock", timeout=0)
                try:
                    lock.acquire()
                except Timeout:
                    continue
                _taken.append(lock)
                return gpu
            time.sleep(POLL_S)


def visible() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]

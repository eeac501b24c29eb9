"""Jobs in flight: each is one launch of its own, so that no job waits for the slowest of a batch.

Hydra's launchers take a batch and return when all of it is done. One thread per worker, each with a
batch of one, keeps every worker busy; the basic launcher runs jobs in this process, one at a time.
"""

import logging
import os
import queue
import threading
from collections.abc import Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from selfguide.core.errors import SelfguideError

SLURM_JOBS = 8
MAX_LOSSES = 10
"""Launches of a job whose worker was lost, beside those after a crash of its own."""
J = TypeVar("J", bound=Hashable)


class Ended(NamedTuple, Generic[J]):
    """A job that is over, with what it returned, or the error.

    `hopeless` errors come again however often it is launched; of a `lost` one the worker died, or the launcher failed.
    """

    job: J
    returned: Any = None
    error: str = ""
    hopeless: bool = False
    lost: bool = False


class Workers(Generic[J]):
    """`count` jobs at a time on Hydra's configured launcher."""

    def __init__(self, launcher: Launcher, config: DictConfig, requested: int | None) -> None:
        self._launcher: Any = launcher
        self._kind = type(launcher).__name__
        self.in_process = self._kind == "BasicLauncher"
        self.name = str(OmegaConf.select(config, "hydra.runtime.choices.hydra/launcher") or "basic")
        self.busy: set[J] = set()
        self._ended: queue.Queue[Ended[J]] = queue.Queue()
        self._launched = 0
        # Launchers announce every launch; the table says it better.
        for chatty in ("hydra", "hydra_plugins"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        self.count = 1 if self.in_process else requested or self._capacity(config)

    @property
    def free(self) -> int:
        """Workers without a job."""
        return self.count - len(self.busy)

    def start(self, job: J, overrides: Sequence[str]) -> None:
        """Launch; returns at once, except in this process."""
        self.busy.add(job)
        arguments = (job, list(overrides), self._launched)
        self._launched += 1
        if self.in_process:
            self._run(*arguments)
        else:
            threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def wait(self, seconds: float | None = None) -> Ended[J] | None:
        """The next job that ended, or None when the time is over."""
        try:
            ended = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self.busy.discard(ended.job)
        return ended

    def _run(self, job: J, overrides: list[str], index: int) -> None:
        try:
            (returned,) = self._launcher.launch([overrides], initial_job_idx=index)
        except Exception as error:
            # Not the job: its worker, or the launcher. One killed process may take every job in flight with it.
            text = f"the worker was lost: {type(error).__name__}: {error}"
            self._ended.put(Ended(job, error=text, lost=True))
            return
        if returned.status == JobStatus.COMPLETED:
            self._ended.put(Ended(job, returned.return_value))
        else:
            crash = returned._return_value
            text = "\n".join([f"{type(crash).__name__}: {crash}", *getattr(crash, "__notes__", ())]).rstrip()
            self._ended.put(Ended(job, error=text, hopeless=isinstance(crash, SelfguideError)))

    def _capacity(self, config: DictConfig) -> int:
        if self._kind == "SlurmLauncher":
            return SLURM_JOBS
        if (slots := getattr(self._launcher, "slots", None)) is not None:
            return len(slots)
        jobs = OmegaConf.select(config, "hydra.launcher.n_jobs")
        return int(jobs) if jobs is not None and int(jobs) > 0 else os.cpu_count() or 1

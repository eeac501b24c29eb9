"""Jobs in flight: each is one launch of its own, so that no job waits for the slowest of a batch.

Hydra's launchers take a batch and return when all of it is done. One thread per slot, each with a
batch of one, keeps every slot busy; the basic launcher runs jobs in this process, one at a time.
"""

import logging
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from selfguide.core.errors import SelfguideError
from selfguide.core.optional import optional
from selfguide.search.racing import Job
from selfguide.search.results import JobResult

SLURM_JOBS = 8


class FinishedJob(NamedTuple):
    """A job that is over: its result, or the error.

    `hopeless` errors come again however often it is launched; of a `lost` one the worker died, or the launcher failed.
    """

    job: Job
    result: JobResult | None
    error: str = ""
    hopeless: bool = False
    lost: bool = False


class Workers:
    """`count` jobs at a time on Hydra's configured launcher."""

    def __init__(self, launcher: Launcher, config: DictConfig, wanted: int | None) -> None:
        self._launcher = launcher
        kind = type(launcher).__name__
        self.in_process = kind in ("BasicLauncher", "TogetherLauncher")
        self.name = str(OmegaConf.select(config, "hydra.runtime.choices.hydra/launcher") or "basic")
        self.busy: set[Job] = set()
        self._ended: queue.Queue[FinishedJob] = queue.Queue()
        self._launched = 0
        # Launchers announce every launch; the table says it better.
        for chatty in ("hydra", "hydra_plugins"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if kind == "RayLauncher":
            self._start_ray()
        self.count = 1 if self.in_process else wanted or self._capacity(config, kind)

    @property
    def free(self) -> int:
        """Workers without a job."""
        return self.count - len(self.busy)

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """Launch; returns at once, except in this process."""
        self.busy.add(job)
        index, self._launched = self._launched, self._launched + 1
        if self.in_process:
            self._ended.put(self._run(job, overrides, index))
        else:
            run = lambda: self._ended.put(self._run(job, overrides, index))  # noqa: E731
            threading.Thread(target=run, name=f"sweep job {index}", daemon=True).start()

    def wait(self, seconds: float) -> FinishedJob | None:
        """The next job that ended, or None when the time is over."""
        try:
            ended = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self.busy.discard(ended.job)
        return ended

    def _run(self, job: Job, overrides: Sequence[str], index: int) -> FinishedJob:
        try:
            (returned,) = self._launcher.launch([list(overrides)], initial_job_idx=index)
        except Exception as error:
            # Not the job: its worker, or the launcher. One killed process may take every job in flight with it.
            return FinishedJob(job, None, f"the worker was lost: {type(error).__name__}: {error}", lost=True)
        return _ended(job, returned)

    def _capacity(self, config: DictConfig, kind: str) -> int:
        if kind == "SlurmLauncher":
            return SLURM_JOBS
        if kind == "RayLauncher":
            ray = optional("ray", "hydra/launcher=ray", "ray")

            launcher: Any = self._launcher
            there = ray.cluster_resources()
            return ray_capacity(there, dict(launcher.ray_cfg.get("remote") or {}))
        jobs = OmegaConf.select(config, "hydra.launcher.n_jobs")
        return int(jobs) if jobs is not None and int(jobs) > 0 else os.cpu_count() or 1

    def _start_ray(self) -> None:
        # Once and before any thread: each launch would otherwise start a cluster of its own.
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

        launcher: Any = self._launcher
        if launcher.ray_cfg.init.get("address") is None:
            # What the launcher itself asks of a cluster that it starts.
            launcher.ray_cfg.init.setdefault("object_store_memory", 78643200)
        start_ray(launcher.ray_cfg.init)


def ray_capacity(cluster: Mapping[str, float], job: Mapping[str, Any]) -> int:
    """Jobs that a Ray cluster of these resources runs at once, each with what `ray.remote` asks for; at least 1."""
    asked = {"CPU": job.get("num_cpus"), "GPU": job.get("num_gpus"), **(job.get("resources") or {})}
    asked["CPU"] = 1 if asked["CPU"] is None else asked["CPU"]  # Ray's own default
    room = [int(cluster.get(name, 0) // amount) for name, amount in asked.items() if amount]
    return max(1, min(room, default=int(cluster.get("CPU", 1))))


def _ended(job: Job, returned: JobReturn) -> FinishedJob:
    if returned.status == JobStatus.COMPLETED:
        content = {**returned.return_value, "task": job.task, "seed": job.seed}
        return FinishedJob(job, JobResult.from_json(content))
    error = returned._return_value
    notes = "\n".join(getattr(error, "__notes__", ()))
    return FinishedJob(
        job, None, f"{type(error).__name__}: {error}\n{notes}".rstrip(), isinstance(error, SelfguideError)
    )

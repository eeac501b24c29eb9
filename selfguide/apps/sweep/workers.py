"""Jobs in flight: each is one launch of its own, so that no job waits for the slowest of a batch.

Hydra's launchers take a batch and return when all of it is done. One thread per worker, each with a
batch of one, keeps every worker busy; the basic launcher runs jobs in this process, one at a time.
"""

import logging
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.utils import JobStatus
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


def checked(job: Job, result: JobResult) -> FinishedJob:
    """The job with its result, or with the error that a number of it is no score."""
    problem = result.problem()
    return FinishedJob(job, result) if problem is None else FinishedJob(job, None, problem, hopeless=True)


class Workers:
    """`count` jobs at a time on Hydra's configured launcher."""

    def __init__(self, launcher: Launcher, config: DictConfig, requested: int | None) -> None:
        self._launcher: Any = launcher
        self._kind = type(launcher).__name__
        self.in_process = self._kind == "BasicLauncher"
        self.name = str(OmegaConf.select(config, "hydra.runtime.choices.hydra/launcher") or "basic")
        self.busy: set[Job] = set()
        self._ended: queue.Queue[FinishedJob] = queue.Queue()
        self._launched = 0
        # Launchers announce every launch; the table says it better.
        for chatty in ("hydra", "hydra_plugins"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if self._kind == "RayLauncher":
            self._start_ray()
        self.count = 1 if self.in_process else requested or self._capacity(config)

    @property
    def free(self) -> int:
        """Workers without a job."""
        return self.count - len(self.busy)

    def start(self, job: Job, overrides: Sequence[str]) -> None:
        """Launch; returns at once, except in this process."""
        self.busy.add(job)
        arguments = (job, list(overrides), self._launched)
        self._launched += 1
        if self.in_process:
            self._run(*arguments)
        else:
            threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def wait(self, seconds: float) -> FinishedJob | None:
        """The next job that ended, or None when the time is over."""
        try:
            ended = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self.busy.discard(ended.job)
        return ended

    def _run(self, job: Job, overrides: list[str], index: int) -> None:
        try:
            (returned,) = self._launcher.launch([overrides], initial_job_idx=index)
        except Exception as error:
            # Not the job: its worker, or the launcher. One killed process may take every job in flight with it.
            text = f"the worker was lost: {type(error).__name__}: {error}"
            self._ended.put(FinishedJob(job, None, text, lost=True))
            return
        if returned.status == JobStatus.COMPLETED:
            content = {**returned.return_value, "task": job.task, "seed": job.seed}
            self._ended.put(checked(job, JobResult.from_json(content)))
        else:
            crash = returned._return_value
            text = "\n".join([f"{type(crash).__name__}: {crash}", *getattr(crash, "__notes__", ())]).rstrip()
            self._ended.put(FinishedJob(job, None, text, hopeless=isinstance(crash, SelfguideError)))

    def _capacity(self, config: DictConfig) -> int:
        if self._kind == "SlurmLauncher":
            return SLURM_JOBS
        if self._kind == "RayLauncher":
            cluster = optional("ray", "hydra/launcher=ray", "ray").cluster_resources()
            return ray_capacity(cluster, dict(self._launcher.ray_cfg.get("remote") or {}))
        if (slots := getattr(self._launcher, "slots", None)) is not None:
            return len(slots)
        jobs = OmegaConf.select(config, "hydra.launcher.n_jobs")
        return int(jobs) if jobs is not None and int(jobs) > 0 else os.cpu_count() or 1

    def _start_ray(self) -> None:
        # Once and before any thread: each launch would otherwise start a cluster of its own.
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

        init = self._launcher.ray_cfg.init
        if init.get("address") is None:
            # What the launcher itself asks of a cluster that it starts.
            init.setdefault("object_store_memory", 78643200)
        start_ray(init)


def ray_capacity(cluster: Mapping[str, float], job: Mapping[str, Any]) -> int:
    """Jobs that a Ray cluster of these resources runs at once, each with what `ray.remote` asks for; at least 1."""
    requested = {"CPU": job.get("num_cpus"), "GPU": job.get("num_gpus"), **(job.get("resources") or {})}
    requested["CPU"] = 1 if requested["CPU"] is None else requested["CPU"]  # Ray's own default
    counts = [int(cluster.get(name, 0) // amount) for name, amount in requested.items() if amount]
    return max(1, min(counts, default=int(cluster.get("CPU", 1))))

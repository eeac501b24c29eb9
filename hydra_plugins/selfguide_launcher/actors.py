"""`hydra/launcher=ray` and `ray_cluster`: a Ray actor on each slot of a cluster; see conf/hydra/launcher/ray.yaml.

An actor is a process that lives for the whole sweep or table: what a job loaded, the next one finds. Jobs that ask for
the same model go to an actor that has served it. Ray starts an actor that died anew.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

ENGINE = ("model", "engine", "protocol", "experiment", "finetuning", "finetuning.kind", "finetuning.rank")
"""Overrides of these keys, and of what is below the first four, decide with what an engine is started."""


class RayActorsLauncher(Launcher):
    """As many actors as the cluster has room for; any number of threads may launch."""

    def __init__(self, ray: DictConfig) -> None:
        self._init, self._asked = _plain(ray.init), _plain(ray.remote)
        self._setup: dict[str, Any] = {}
        self._actors: list[_Actor] = []
        self._changed = threading.Condition()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once by Hydra."""
        self._setup = {"context": hydra_context, "task": task_function, "config": config}

    @property
    def slots(self) -> "list[_Actor]":
        """The actors, started when first asked for. Raises `ConfigError` where the cluster has no room for one."""
        from selfguide.core.errors import ConfigError
        from selfguide.core.optional import optional

        with self._changed:
            if self._actors:
                return self._actors
            ray = optional("ray", "hydra/launcher=ray", "ray")
            ray.init(**self._init, ignore_reinit_error=True)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            asked = resources(nodes, self._asked)
            if (count := capacity(nodes, asked)) == 0:
                raise ConfigError(f"hydra.launcher.ray.remote: no node of the cluster has {asked}")
            kind = ray.remote(**asked, max_restarts=-1)(Worker)
            shared = ray.put((str(Path.cwd()), self._setup, Singleton.get_state()))
            self._actors = [_Actor(kind.remote(shared)) for _ in range(count)]
            return self._actors

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See `Launcher.launch`."""
        jobs = list(enumerate(map(list, job_overrides), initial_job_idx))
        with ThreadPoolExecutor(min(len(jobs), len(self.slots))) as threads:
            return list(threads.map(self._run, jobs))

    def _run(self, job: tuple[int, list[str]]) -> JobReturn:
        import ray

        index, overrides = job
        wanted = engine_of(overrides)
        with self._changed:
            self._changed.wait_for(lambda: any(not actor.busy for actor in self._actors))
            actor = self._choose(wanted)
            actor.busy = True
        try:
            returned: JobReturn = ray.get(actor.handle.run.remote(index, overrides))
            actor.served = wanted
            return returned
        except BaseException:
            actor.served = None
            raise
        finally:
            with self._changed:
                actor.busy = False
                self._changed.notify()

    def _choose(self, wanted: tuple[str, ...]) -> "_Actor":
        """The free actor that served this engine last; else one that served none."""
        free = [actor for actor in self._actors if not actor.busy]
        return min(free, key=lambda actor: (actor.served != wanted, actor.served is not None))


class _Actor:
    """An actor as the launcher knows it."""

    def __init__(self, handle: Any) -> None:
        self.handle, self.busy = handle, False
        self.served: tuple[str, ...] | None = None


class Worker:
    """The actor itself, on any node."""

    def __init__(self, shared: tuple[str, dict[str, Any], Any]) -> None:
        folder, self._setup, state = shared
        os.chdir(folder)  # relative folders are the driver's
        setup_globals()
        Singleton.set_state(state)

    def run(self, index: int, overrides: list[str]) -> JobReturn:
        """One job, composed here; the driver has many to start."""
        context, task, config = (self._setup[name] for name in ("context", "task", "config"))
        job = context.config_loader.load_sweep_config(config, overrides)
        with open_dict(job):
            job.hydra.job.id, job.hydra.job.num = str(index), index
        return run_job(task, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)


def engine_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that decide with what an engine is started; jobs that agree in them can share one."""
    keys = {override: override.partition("=")[0].lstrip("+") for override in overrides}
    return tuple(sorted(one for one, key in keys.items() if key in ENGINE or key.partition(".")[0] in ENGINE[:4]))


def resources(nodes: Sequence[Mapping[str, float]], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an actor asks for: by default a core, and a GPU where there are any."""
    gpus = int(any(node.get("GPU") for node in nodes))
    return {"num_cpus": 1, "num_gpus": gpus, **{name: value for name, value in asked.items() if value is not None}}


def capacity(nodes: Sequence[Mapping[str, float]], asked: Mapping[str, Any]) -> int:
    """Actors with these resources that nodes hold; one runs on one node."""
    wanted = {"CPU": asked.get("num_cpus"), "GPU": asked.get("num_gpus"), **(asked.get("resources") or {})}
    needed = {name: amount for name, amount in wanted.items() if amount}
    return sum(min((int(node.get(name, 0) / amount) for name, amount in needed.items()), default=1) for node in nodes)


def _plain(node: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(node, resolve=True)
    assert isinstance(content, dict)
    return {str(name): value for name, value in content.items()}

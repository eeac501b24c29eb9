"""Hydra's jobs as works that take turns."""

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, configure_log, env_override, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from selfguide.errors import ConfigError
from selfguide.together.engine import OneEngine
from selfguide.together.turns import Restore

log = logging.getLogger(__name__)


def launch(
    config: DictConfig,
    task_function: TaskFunction,
    context: HydraContext,
    at_once: int,
    job_overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """As Hydra's basic launcher, but that the jobs take turns. Raises `ConfigError` for a bad `at_once`."""
    if at_once < 1:
        raise ConfigError(f"hydra.launcher.at_once: {at_once} is not allowed; allowed: 1 or more")
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    log.info(f"Launching {len(job_overrides)} jobs together")
    for number, overrides in enumerate(job_overrides, first):
        log.info(f"\t#{number} : {' '.join(filter_overrides(overrides))}")
    works = [
        partial(_run, config, task_function, context, number, overrides)
        for number, overrides in enumerate(job_overrides, first)
    ]
    with env_override(config.hydra.job.env_set), OneEngine(surroundings) as together:
        returned: list[JobReturn] = together.run(works, at_once)
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    return returned


def surroundings() -> Restore:
    """What `run_job` sets for the job that runs: Hydra's configuration, the folder, where the log goes."""
    hydra, folder, root = HydraConfig.instance(), Path.cwd(), logging.getLogger()
    config, handlers, level = hydra.cfg, list(root.handlers), root.level

    def restore() -> None:
        hydra.cfg = config
        os.chdir(folder)
        root.handlers[:] = handlers
        root.setLevel(level)

    return restore


def _run(
    config: DictConfig, task_function: TaskFunction, context: HydraContext, number: int, overrides: Sequence[str]
) -> JobReturn:
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id = number
        job.hydra.job.num = number
    return run_job(
        hydra_context=context,
        task_function=task_function,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )

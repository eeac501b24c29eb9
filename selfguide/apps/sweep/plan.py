"""What a sweep is going to do, read from the configuration and checked before anything runs."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from selfguide.apps.sweep.binding import Binding, Compose, bind
from selfguide.apps.sweep.conventions import check_search, sweeper_knobs
from selfguide.apps.sweep.job import check_split
from selfguide.config.explain import explain
from selfguide.config.sweep import SweepConfig
from selfguide.config.validate import one_line, out_of_range
from selfguide.core.errors import ConfigError
from selfguide.core.files import canonical_json
from selfguide.search.fingerprint import fingerprint, study_name
from selfguide.search.objective import Kind, Objective
from selfguide.search.racing import Job
from selfguide.search.results import Setting, identity
from selfguide.search.space import Space, overrides_of, read_space


@dataclass(frozen=True)
class Plan:
    """A checked sweep. `final` is the objective over the finalists' seeds, if there are further ones.

    `folder` holds its journal and jobs; `binding` is what its study is bound to.

    `compose` gives the job of a task with a setting.
    """

    knobs: SweepConfig
    space: Space
    objective: Objective
    final: Objective | None
    folder: Path
    binding: Binding
    compose: Compose
    has_seed: bool
    tracked: bool

    @property
    def study(self) -> str:
        """The name of the study: of the sweep, and of its binding."""
        return study_name(self.knobs.name, self.binding.content)

    @property
    def jobs_per_trial(self) -> int:
        return len(self.knobs.tasks) * len(self.knobs.seeds)

    @property
    def target(self) -> int:
        """Finished trials to reach."""
        points = self.space.points()
        wanted = self.knobs.trials
        if points is None:
            assert wanted is not None
            return wanted
        return len(points) if wanted is None else min(wanted, len(points))

    def subfolder(self, setting: Setting, job: Job) -> str:
        """Of the job, below `folder`: named by content, so that a restart finds what was finished."""
        content = canonical_json([fingerprint(self.binding.content), identity(setting), job.task, job.seed])
        digest = hashlib.sha256(content.encode()).hexdigest()[:10]
        return f"jobs/{job.task.split()[0]}-{digest}"

    def overrides(self, setting: Setting, job: Job) -> list[str]:
        """The command line of one job."""
        return [
            *self.space.fixed,
            *task_overrides(job.task),
            *overrides_of(setting),
            *([f"seed={job.seed}"] if self.has_seed else []),
            f"hydra.sweep.subdir={self.subfolder(setting, job)}",
            # A tracker then shows the runs of one study together.
            *([f"tracking.group={self.study}"] if self.tracked else []),
        ]


def read_plan(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> Plan:
    """Raises ConfigError for anything that cannot be swept as written."""
    knobs = _knobs(config)
    space = read_space(knobs.space, arguments)

    def compose(task: str, setting: Setting) -> DictConfig:
        overrides = [*space.fixed, *task_overrides(task), *overrides_of(setting)]
        job = loader.load_sweep_config(config, overrides)
        with open_dict(job):
            del job["hydra"]
        return job

    if knobs.tasks:
        try:
            compose(knobs.tasks[0], space.example([]))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"sweep.space: {explain(error)}") from error
        default = compose(knobs.tasks[0], {})
        choices = config.hydra.runtime.choices
        knobs.first = [_completed(dict(setting), space, default, choices) for setting in knobs.first]
    _check(knobs, space, config)
    check_search(knobs)
    confirm, has_seed = knobs.confirm, "seed" in config
    objective = Objective(
        kind=cast(Kind, knobs.objective),
        seeds=tuple(knobs.seeds),
        floors=dict(knobs.floors),
        confidence=knobs.confidence,
        resamples=knobs.bootstrap,
    )
    return Plan(
        knobs=knobs,
        space=space,
        objective=objective,
        final=(
            replace(objective, seeds=(*objective.seeds, *confirm.seeds))
            if confirm is not None and confirm.finalists and confirm.seeds and has_seed
            else None
        ),
        folder=Path(str(config.hydra.sweep.dir)).absolute(),
        binding=bind(knobs, space, compose),
        compose=compose,
        has_seed=has_seed,
        tracked=OmegaConf.select(config, "tracking.kind") is not None and config.tracking.group is None,
    )


def task_overrides(task: str) -> list[str]:
    """`task190`, or with more of its own: `json task.path=mine.json`."""
    option, *more = task.split()
    return [f"task={option}", *more]


def _completed(
    setting: dict[str, Any], space: Space, default: DictConfig, choices: Mapping[str, Any]
) -> dict[str, Any]:
    """A setting of `sweep.first` with the configuration's own values for keys that it does not name."""
    for key in space.distributions:
        if key not in setting:
            value = OmegaConf.select(default, key)
            setting[key] = choices.get(key) if OmegaConf.is_config(value) else value
            if not space.holds(key, setting[key]):
                raise ConfigError(
                    f"sweep.first: has no {key}, and the configuration's {setting[key]} is not in the space; "
                    "complete it, or set sweep.first=[]"
                )
    return setting


def _knobs(config: DictConfig) -> SweepConfig:
    node = config.get("sweep")
    if node is None:
        raise ConfigError("sweep: has no value; choose one with +sweep=…, or start from +sweep=default")
    try:
        # Resolved before it is cut out of the configuration: `record` names `sweep.name`.
        values = OmegaConf.to_container(node, resolve=True)
        knobs = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SweepConfig), values, sweeper_knobs(config)))
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(knobs, SweepConfig)
    for problem in out_of_range("sweep.", knobs):
        raise ConfigError(problem)
    return knobs


def _check(knobs: SweepConfig, space: Space, config: DictConfig) -> None:
    if not knobs.tasks:
        raise ConfigError("sweep.tasks: has no value; allowed: at least one task")
    seeds = [*knobs.seeds, *(knobs.confirm.seeds if knobs.confirm is not None else ())]
    listings: dict[str, Sequence[Any]] = {
        "tasks": knobs.tasks,
        "test_tasks": knobs.test_tasks,
        "seeds": knobs.seeds,
        "confirm.seeds": seeds,
    }
    for name, listed in listings.items():
        if len(set(listed)) < len(listed):
            raise ConfigError(f"sweep.{name}: {listed} names one twice")
    if both := sorted(set(knobs.tasks) & set(knobs.test_tasks)):
        raise ConfigError(f"sweep.test_tasks: {', '.join(both)} also in sweep.tasks; allowed: other tasks")
    if not knobs.seeds:
        raise ConfigError("sweep.seeds: has no value; allowed: at least one seed")
    if not space.distributions:
        raise ConfigError("sweep.space: has no key to search; allowed: e.g. 'temperature.input=choice(0.6,0.8)'")
    if knobs.trials is None and space.points() is None:
        raise ConfigError("sweep.trials: null needs a finite space (choice, range); allowed: a number")
    for task, floor in knobs.floors.items():
        if task not in knobs.tasks:
            raise ConfigError(f"sweep.floors: {task} is not in sweep.tasks")
        if not isinstance(floor, str) and not (isinstance(floor, int | float) and math.isfinite(floor)):
            raise ConfigError(f"sweep.floors.{task}: {floor!r} is not allowed; allowed: a number, or a floor's name")
    for setting in knobs.first:
        space.check(setting)
    if knobs.storage is not None and "://" in knobs.storage:
        _check_url(knobs.storage)
    if OmegaConf.select(config, "frozen_config") is not None:
        raise ConfigError("frozen_config: a sweep searches what it fixes; leave one of them out")
    check_split(config)


def _check_url(url: str) -> None:
    """No message may show the URL: what cannot be read as one may still hold a password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("sweep.storage: cannot be read as a URL; allowed: e.g. postgresql://user@host/db") from None
    # Also one that an interpolation brings in: whoever resolves the configuration to save it would save that.
    if parts.password or any("passw" in key.lower() and "file" not in key.lower() for key in parts.query):
        raise ConfigError(
            "sweep.storage: holds a password, which every job would save; allowed: a URL without one "
            "(PostgreSQL reads PGPASSWORD, or ~/.pgpass)"
        )

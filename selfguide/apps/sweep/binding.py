"""What a study is bound to: model, data, metric, everything fixed, and the space.

A study answers for this content alone: every knob that a setting is made of (`selfguide.config.identity`), and what
task, gold and models are. Whatever does not change a score (paths, batch sizes, the sampler, the number of trials)
is left out, so that changing it goes on with the same study.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution

from selfguide import __version__
from selfguide.apps.sweep.job import SPLIT, check_split
from selfguide.config.identity import TASK, knob_at, setting_values
from selfguide.config.schema import RunConfig
from selfguide.config.sweep import SweepConfig
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError, SelfguideError
from selfguide.core.types import Split
from selfguide.search.fingerprint import fingerprint
from selfguide.search.results import Setting
from selfguide.search.space import Space

Compose = Callable[[str, Setting], DictConfig]
"""The job of a task with a setting, as Hydra composes it, less Hydra's own node."""


@dataclass(frozen=True)
class Binding:
    """`content` is what is fingerprinted; `native` whether the jobs are selfguide's own."""

    content: dict[str, Any]
    native: bool


def bind(knobs: SweepConfig, space: Space, compose: Compose) -> Binding:
    """Compose every task's job; a mistake in any of them shows here, before the first job runs."""
    bootstrap = {"confidence": knobs.confidence, "bootstrap": knobs.bootstrap} if knobs.objective == "lcb" else {}
    objective = {"kind": knobs.objective, "seeds": list(knobs.seeds), "floors": dict(knobs.floors), **bootstrap}
    search = {"space": dict(space.grammar), "objective": objective}
    configs = {task: compose(task, {}) for task in knobs.tasks}
    for config in (*configs.values(), *(compose(knobs.tasks[0], first) for first in knobs.first)):
        check_split(config)
    if all({"model", "task", "evaluation"} <= set(config) for config in configs.values()):
        for key in space.distributions:
            if knob_at(key, RunConfig).role == TASK and _is_leaf(configs[knobs.tasks[0]], key):
                raise ConfigError(f"sweep.space: {key} decides what is evaluated; allowed: knobs of the method")
        return Binding({**search, **_content(knobs, space, compose)}, native=True)
    # Of a foreign application everything counts but the search itself, seeds and the searched keys.
    free = {"sweep", "seed", *space.distributions}
    plain = {task: cast(dict[str, Any], OmegaConf.to_container(each, resolve=True)) for task, each in configs.items()}
    jobs = {task: {key: value for key, value in each.items() if key not in free} for task, each in plain.items()}
    return Binding({**search, "jobs": jobs}, native=False)


def frozen_values(knobs: SweepConfig, compose: Compose, setting: Setting) -> dict[str, Any]:
    """What a frozen setting records: every value of the method, the models, and the tasks with their data."""
    from selfguide.search.content import models_content, task_content

    config = compose(knobs.tasks[0], setting)
    searched = {key: value for key, value in setting.items() if _is_leaf(config, key)}
    run = typed(config)
    models = models_content(run)
    return {
        **models,
        "model": {"name": run.model.name, **models["model"]},
        "values": {**setting_values(run), **searched},
        "tasks": {task: _chosen_on(typed(compose(task, setting))) for task in knobs.tasks},
        "test_tasks": {task: task_content(typed(compose(task, setting)), "test") for task in knobs.test_tasks},
    }


def _content(knobs: SweepConfig, space: Space, compose: Compose) -> dict[str, Any]:
    from selfguide.search.content import data_settings, models_content

    # With values for the searched keys: without them a combination may be out of range that no trial has.
    example = space.example(knobs.first)
    runs = {task: typed(compose(task, example)) for task in knobs.tasks}
    run = runs[knobs.tasks[0]]
    fixed = {key: value for key, value in setting_values(run).items() if key not in space.distributions}
    tasks = {}
    for task, config in runs.items():
        # A task of the sweep may bring more than a task: `task190 generation.rounds=20`.
        changed = {key: value for key, value in setting_values(config).items() if fixed.get(key, value) != value}
        tasks[task] = {**_chosen_on(config), **({"own": changed} if changed else {})}
    options = _options(space, compose, knobs.tasks[0], example)
    return {
        **models_content(run),
        "tasks": tasks,
        "data": data_settings(run),
        "evaluation": {name: getattr(run.evaluation, name) for name in ("split", "limit")},
        "fixed": fixed,
        "version": __version__,
        **({"choices": options} if options else {}),
    }


def _chosen_on(run: RunConfig) -> dict[str, Any]:
    from selfguide.search.content import task_content

    return task_content(run, cast(Split, run.evaluation.split))


def _is_leaf(config: DictConfig, key: str) -> bool:
    """Whether a searched key is a value: a group's choice shows in the values it brings."""
    return not OmegaConf.is_config(OmegaConf.select(config, key))


def _options(space: Space, compose: Compose, task: str, example: Setting) -> dict[str, dict[str, str]]:
    """What each option of a searched group brings, as a fingerprint: its name says nothing of its file's content.

    Raises ConfigError for an option that brings the test split.
    """
    from selfguide.search.content import models_content

    fingerprints: dict[str, dict[str, str]] = {}
    plain = compose(task, example)
    for key, distribution in space.distributions.items():
        leaf = _is_leaf(plain, key)
        if (leaf and key != SPLIT) or not isinstance(distribution, CategoricalDistribution):
            continue
        for option in distribution.choices:
            config = compose(task, {**example, key: option})
            check_split(config)
            if leaf:
                continue
            values = cast(Mapping[str, Any], OmegaConf.to_container(config, resolve=True))
            content: dict[str, Any] = {
                name: value for name, value in values.items() if knob_at(name, RunConfig).of_the_setting
            }
            # An option need not go with the example's other values.
            with suppress(SelfguideError):
                content["models"] = models_content(typed(config))
            fingerprints.setdefault(key, {})[str(option)] = fingerprint(content)
    return fingerprints

"""What a study is bound to: model, data, metric, everything fixed, and the space.

A study answers for this content alone: every knob but those of `selfguide.search.freeze.ASIDE`, and
what task, gold and models are. Whatever does not change a score (paths, batch sizes, the sampler,
the number of trials) is left out, so that changing it goes on with the same study.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.distributions import CategoricalDistribution

from selfguide import __version__
from selfguide.apps.sweep.job import SPLIT, check_split
from selfguide.config.schema import RunConfig
from selfguide.config.sweep import SweepConfig
from selfguide.core.errors import SelfguideError
from selfguide.core.types import Split
from selfguide.search.fingerprint import fingerprint
from selfguide.search.freeze import aside, data_settings, method_values
from selfguide.search.space import Space

Compose = Callable[[str, Mapping[str, Any]], DictConfig]
"""The job of a task with a setting, as Hydra composes it."""


@dataclass(frozen=True)
class Binding:
    """`content` is what is fingerprinted; `native` whether the jobs are selfguide's own.

    For those, `frozen(setting)` gives what a lock records of this setting: every value of the method,
    the models, and the tasks with their data.
    """

    content: dict[str, Any]
    native: bool
    frozen: Callable[[Mapping[str, Any]], dict[str, Any]] = field(default=dict)


def bind(knobs: SweepConfig, space: Space, compose: Compose) -> Binding:
    """Compose every task's job; a mistake in any of them shows here, before the first job runs."""
    search = {
        "space": dict(space.grammar),
        "objective": {
            "kind": knobs.objective,
            "seeds": list(knobs.seeds),
            "floors": dict(knobs.floors),
            **({"confidence": knobs.confidence, "bootstrap": knobs.bootstrap} if knobs.objective == "lcb" else {}),
        },
    }
    configs = {task: _job(compose(task, {})) for task in knobs.tasks}
    for composed in (*configs.values(), *(compose(knobs.tasks[0], first) for first in knobs.first)):
        check_split(composed)
    # With values for the searched keys: without them a combination may be out of range that no trial has.
    example = space.example(knobs.first)
    if not all({"model", "task", "evaluation"} <= set(config) for config in configs.values()):
        plain = {task: OmegaConf.to_container(config, resolve=True) for task, config in configs.items()}
        return Binding({**search, "jobs": {task: _without(space, content) for task, content in plain.items()}}, False)

    from selfguide.config.validate import typed
    from selfguide.search.content import models_content, task_content

    runs = {task: typed(_job(compose(task, example))) for task in knobs.tasks}
    run = next(iter(runs.values()))
    fixed = {key: value for key, value in method_values(run).items() if key not in space.distributions}

    def own(config: RunConfig) -> dict[str, Any]:
        # A task of the sweep may bring more than a task: `task190 generation.rounds=20`.
        changed = {key: value for key, value in method_values(config).items() if fixed.get(key, value) != value}
        return {"own": changed} if changed else {}

    content = {
        **search,
        **models_content(run),
        "tasks": {task: {**_chosen_on(config), **own(config)} for task, config in runs.items()},
        "data": data_settings(run),
        "evaluation": {name: getattr(run.evaluation, name) for name in ("split", "limit")},
        "fixed": fixed,
        "version": __version__,
    }
    if SPLIT in space.distributions and space.holds(SPLIT, "test"):
        check_split(compose(knobs.tasks[0], {**example, SPLIT: "test"}))
    if brought := _brought(space, lambda setting: _job(compose(knobs.tasks[0], setting)), example):
        content["choices"] = brought

    def frozen(setting: Mapping[str, Any]) -> dict[str, Any]:
        config = _job(compose(knobs.tasks[0], setting))
        searched = {key: value for key, value in setting.items() if _is_leaf(config, key)}
        run = typed(config)
        models = models_content(run)
        return {
            **models,
            "model": {"name": run.model.name, **models["model"]},
            "values": {**method_values(run), **searched},
            "tasks": {task: _chosen_on(typed(_job(compose(task, setting)))) for task in knobs.tasks},
            "test_tasks": {
                task: task_content(typed(_job(compose(task, setting))), "test") for task in knobs.test_tasks
            },
        }

    return Binding(content, True, frozen)


def _chosen_on(run: RunConfig) -> dict[str, Any]:
    from selfguide.search.content import task_content

    return task_content(run, cast(Split, run.evaluation.split))


def _is_leaf(config: DictConfig, key: str) -> bool:
    """Whether a searched key is a value: a group's choice shows in the values it brings."""
    return not OmegaConf.is_config(OmegaConf.select(config, key))


def _job(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


def _brought(
    space: Space, job: Callable[[Mapping[str, Any]], DictConfig], example: Mapping[str, Any]
) -> dict[str, Any]:
    """What each option of a searched group brings, as a fingerprint: its name says nothing of its file's content."""
    from selfguide.config.validate import typed
    from selfguide.search.content import models_content

    found: dict[str, Any] = {}
    plain = job(example)
    for key, distribution in space.distributions.items():
        if _is_leaf(plain, key) or not isinstance(distribution, CategoricalDistribution):
            continue
        for option in distribution.choices:
            config = job({**example, key: option})
            check_split(config)
            values = OmegaConf.to_container(config, resolve=True)
            assert isinstance(values, dict)
            kept: dict[str, Any] = {str(name): value for name, value in values.items() if not aside(str(name))}
            # An option need not go with the example's other values.
            with suppress(SelfguideError):
                kept["models"] = models_content(typed(config))
            found.setdefault(key, {})[str(option)] = fingerprint(kept)
    return found


def _without(space: Space, content: Any) -> dict[str, Any]:
    """A foreign application's configuration, less the search itself, seeds and the searched keys."""
    assert isinstance(content, Mapping)
    return {
        key: value for key, value in content.items() if key not in ("sweep", "seed") and key not in space.distributions
    }

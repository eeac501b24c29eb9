"""What a study is bound to: model, data, metric, everything fixed, and the space.

A study answers for this content alone. Whatever does not change a score (paths, batch sizes, the
sampler, the number of trials) is left out, so that changing it goes on with the same study.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.selfguide_sweeper._space import Space
from selfguide.config.frozen import data_settings, method_values
from selfguide.config.sweep import SweepConfig

Compose = Callable[[str, Mapping[str, Any]], DictConfig]
"""The job of a task with a setting, as Hydra composes it."""


@dataclass(frozen=True)
class Binding:
    """`content` is what is fingerprinted; `native` whether the jobs are selfguide's own.

    For those, `frozen(setting)` gives what a lock needs beyond it: every value of the method with
    this setting, and the test tasks' data.
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
    if not all({"model", "task", "evaluation"} <= set(config) for config in configs.values()):
        plain = {task: OmegaConf.to_container(config, resolve=True) for task, config in configs.items()}
        return Binding({**search, "jobs": {task: _without(space, content) for task, content in plain.items()}}, False)

    from selfguide.config.validate import typed
    from selfguide.models import model_identity

    # With values for the searched keys: without them a combination may be out of range that no trial has.
    example = space.example(knobs.first)
    runs = {task: typed(_job(compose(task, example))) for task in knobs.tasks}
    run = next(iter(runs.values()))
    fixed = {key: value for key, value in method_values(run).items() if key not in space.distributions}
    content = {
        **search,
        "model": {"name": run.model.name, "identity": model_identity(run.model), "dtype": run.model.dtype},
        "engine": run.engine.name,
        "tasks": {task: _data(config, "validation") for task, config in runs.items()},
        "data": data_settings(run),
        "evaluation": {
            name: getattr(run.evaluation, name) for name in ("split", "limit", "max_new_tokens", "decoding")
        },
        "fixed": fixed,
    }

    def frozen(setting: Mapping[str, Any]) -> dict[str, Any]:
        config = _job(compose(knobs.tasks[0], setting))
        leaves = {key: value for key, value in setting.items() if _is_leaf(config, key)}
        return {
            "values": {**method_values(typed(config)), **leaves},
            "test_tasks": {task: _data(typed(_job(compose(task, setting))), "test") for task in knobs.test_tasks},
        }

    return Binding(content, True, frozen)


def _is_leaf(config: DictConfig, key: str) -> bool:
    """Whether a searched key is a value: a group's choice shows in the values it brings."""
    return not OmegaConf.is_config(OmegaConf.select(config, key))


def _job(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


def _data(run: Any, split: Any) -> dict[str, Any]:
    from selfguide.data.load import load_task

    task, gold = load_task(run.task, run.data, run.seed)
    return {"task": task.name, "metric": task.metric, "split": split, "hash": gold.hash(split), "n": gold.count(split)}


def _without(space: Space, content: Any) -> dict[str, Any]:
    """A foreign application's configuration, less the search itself, seeds and the searched keys."""
    assert isinstance(content, Mapping)
    return {
        key: value for key, value in content.items() if key not in ("sweep", "seed") and key not in space.distributions
    }

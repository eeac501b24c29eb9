"""A lock's values in a composed configuration, and the method's values that a lock records."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from selfguide.config.paths import config_dir
from selfguide.config.schema import TRAINING_PLACE, RunConfig
from selfguide.errors import ConfigError

# What a setting is part of. Where and how fast it runs is not.
METHOD_NODES = ("temperature", "generation", "filters", "annotation", "finetuning")
PLACE = frozenset({"generation.max_in_flight", "annotation.batch", *(f"finetuning.{name}" for name in TRAINING_PLACE)})


def method_values(run: RunConfig) -> dict[str, Any]:
    """Every knob that makes up the method, by its full key."""
    values: dict[str, Any] = {"method.name": run.method.name, "protocol": run.protocol}
    for node in METHOD_NODES:
        for name, value in dataclasses.asdict(getattr(run, node)).items():
            if f"{node}.{name}" not in PLACE:
                values[f"{node}.{name}"] = value
    return values


def data_settings(run: RunConfig) -> dict[str, Any]:
    """How gold is split: a lock holds for this split alone."""
    data = run.data
    return {"split": data.split, "validation_fraction": data.validation_fraction, "split_seed": data.split_seed}


def with_lock(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration with the values of `lock`, if one is given.

    `overrides` is the command line: a locked value that it contradicts is refused with the
    difference. Raises ConfigError also for a lock that is missing or was edited.
    """
    if OmegaConf.is_missing(config, "lock") or config.get("lock") is None:
        return config
    # Behind the check, so that a run without a lock does not read its modules.
    from selfguide.search.lock import find, load

    lock = load(find(config.lock, config_dir() / "sweep"))
    contradicted = list(_contradicted(config, lock.values, overrides))
    if contradicted:
        raise ConfigError(f"lock: {lock.path} says otherwise: {'; '.join(contradicted)} (leave these out, or the lock)")
    for key, value in lock.values.items():
        OmegaConf.update(config, key, value, merge=False)
    return config


def _contradicted(config: DictConfig, values: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    # A group chosen on the command line (synthesis=…) stands for all the values it brings.
    named = {override.lstrip("+~").partition("=")[0].split("@")[0] for override in overrides}
    nodes = {"synthesis": ("generation.", "filters.", "annotation.")}
    found = []
    for key, locked in values.items():
        group = key.partition(".")[0] + "."
        chosen = key in named or any(group in nodes.get(name, (f"{name}.",)) for name in named if "." not in name)
        value = OmegaConf.select(config, key)
        value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        if chosen and value != locked:
            found.append(f"{key}: {locked} -> {value}")
    return found

"""A frozen setting in a composed configuration."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.builtin import METHODS
from selfguide.config.identity import knob_at
from selfguide.config.methods import kind_of_recipe
from selfguide.config.schema import RunConfig
from selfguide.config.trust import is_users_choice, literal
from selfguide.core.errors import ConfigError
from selfguide.core.paths import sweeps_dir

log = logging.getLogger("selfguide")


def with_lock(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration with the values of `lock`, if one is given.

    `overrides` is the command line: a locked value that it contradicts is refused with the
    difference. Raises ConfigError also for a frozen setting that is missing or was edited.
    """
    if OmegaConf.is_missing(config, "frozen_config") or config.get("frozen_config") is None:
        return config
    # Behind the check, so that a run without a frozen setting does not read its modules.
    from selfguide.search.frozen_config import find, load

    lock = load(find(config.frozen_config, sweeps_dir()))
    contradicted = list(_contradicted(config, lock.values, overrides))
    if contradicted:
        raise ConfigError(
            f"frozen_config: {lock.path} differs: {'; '.join(contradicted)} (leave these out, or frozen_config)"
        )
    values = lock.values
    if "method.name" in values:
        name = values["method.name"]
        if not isinstance(name, str) or not isinstance(values.setdefault("method.kind", kind_of_recipe(name)), str):
            raise ConfigError(f"frozen_config: {lock.path} has no name for its method; freeze it again")
        if values["method.kind"] != config.method.kind:
            # Another method has other knobs; the frozen setting has them all.
            config.method = OmegaConf.structured(METHODS.schema_of(values["method.kind"]))
    for key, value in values.items():
        if "_target_" in key.split("."):
            raise ConfigError(f"frozen_config: {lock.path} sets {key}; allowed: only in your own configuration")
        if is_users_choice(key) or not knob_at(key, RunConfig).of_the_setting:
            if value != OmegaConf.select(config, key):
                log.warning("frozen_config: %s sets %s, which only the command line may set: ignored", lock.path, key)
            continue
        try:
            OmegaConf.update(config, key, literal(value), merge=False)
            OmegaConf.select(config, key)  # a text for a number shows when it is read
        except (OmegaConfBaseException, OverflowError) as error:
            raise ConfigError(
                f"frozen_config: {lock.path} sets {key}, which this run does not have; freeze it again"
            ) from error
    return config


def _contradicted(config: DictConfig, values: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    # A group chosen on the command line (synthesis=…) stands for all the values it brings.
    named = {override.lstrip("+~").partition("=")[0].split("@")[0] for override in overrides}
    nodes = {"synthesis": ("generation.", "filters.", "annotation.")}
    fields = RunConfig.__dataclass_fields__
    differing = []
    for key, locked in values.items():
        group = key.partition(".")[0] + "."
        chosen = key in named or any(group in nodes.get(name, (f"{name}.",)) for name in named if "." not in name)
        value = OmegaConf.select(config, key)
        value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        if chosen and value != locked:
            differing.append(f"{key}: {locked} -> {value}")
    # A knob that the frozen setting does not know yet: the run's own value holds, as long as nobody sets it.
    unknown = [key for key in named if "." in key and key.partition(".")[0] in fields and key not in values]
    for key in unknown:
        if knob_at(key, RunConfig).of_the_setting:
            differing.append(f"{key}: (absent) -> {OmegaConf.select(config, key)}")
    return differing

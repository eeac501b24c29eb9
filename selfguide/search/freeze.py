"""A lock's values in a composed configuration, and the method's values that a lock records."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.builtin import METHODS
from selfguide.config.methods import kind_of_recipe
from selfguide.config.schema import TRAINING_PLACE, RunConfig
from selfguide.config.trust import is_users_choice, literal
from selfguide.core.errors import ConfigError
from selfguide.core.paths import sweeps_dir

log = logging.getLogger("selfguide")
# Where and how fast a run happens.
PLACE = frozenset({"generation.max_in_flight", "annotation.batch", *(f"finetuning.{name}" for name in TRAINING_PLACE)})
# Knobs that are no value of the method; a name stands for all below it. Every other knob is bound and locked.
ASIDE = frozenset(
    {
        # With generation.schedule=streaming it decides which inputs a prompt shows.
        *(PLACE - {"generation.max_in_flight"}),
        # Where things are kept, who is told, what a sweep sets itself.
        *("store", "tracking", "sweep", "plan", "frozen_config", "seed"),
        # Columns, intervals, checks and speed: the score stays.
        *("evaluation.label_scoring", "evaluation.bootstrap", "evaluation.confidence", "evaluation.controls"),
        *("evaluation.epochs", "evaluation.canary", "evaluation.canary_tolerance", "evaluation.batch"),
        # Bound by what they are, or by task: see selfguide.search.content.
        *("task", "data", "model", "engine", "teacher.model", "teacher.engine"),
        *("student.encoder.path", "student.encoder.revision", "evaluation.split", "evaluation.limit"),
    }
)


def method_values(run: RunConfig) -> dict[str, Any]:
    """Every knob that a setting is part of, by its full key."""
    return {key: value for key, value in leaves(run) if not aside(key)}


def aside(key: str) -> bool:
    """Whether a knob stands, or is below what stands, in ASIDE."""
    parts = key.split(".")
    return parts[-1] == "_target_" or any(".".join(parts[:length]) in ASIDE for length in range(1, len(parts) + 1))


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The knobs of a typed configuration, by their full keys."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def data_settings(run: RunConfig) -> dict[str, Any]:
    """How gold is split: a lock holds for this split alone."""
    data = run.data
    return {"split": data.split, "validation_fraction": data.validation_fraction, "split_seed": data.split_seed}


def with_lock(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration with the values of `lock`, if one is given.

    `overrides` is the command line: a locked value that it contradicts is refused with the
    difference. Raises ConfigError also for a lock that is missing or was edited.
    """
    if OmegaConf.is_missing(config, "frozen_config") or config.get("frozen_config") is None:
        return config
    # Behind the check, so that a run without a lock does not read its modules.
    from selfguide.search.lock import find, load

    lock = load(find(config.frozen_config, sweeps_dir()))
    contradicted = list(_contradicted(config, lock.values, overrides))
    if contradicted:
        raise ConfigError(
            f"frozen_config: {lock.path} says otherwise: {'; '.join(contradicted)} (leave these out, or the lock)"
        )
    values = lock.values
    if "method.name" in values:
        values.setdefault("method.kind", kind_of_recipe(values["method.name"]))
        if values["method.kind"] != config.method.kind:
            # Another method has other knobs; the lock has them all.
            config.method = OmegaConf.structured(METHODS.schema_of(values["method.kind"]))
    for key, value in values.items():
        if "_target_" in key.split("."):
            raise ConfigError(f"frozen_config: {lock.path} sets {key}; allowed: in your own configuration alone")
        if is_users_choice(key):
            if value != OmegaConf.select(config, key):
                log.warning("frozen_config: %s sets %s, which is the command line's alone: ignored", lock.path, key)
            continue
        try:
            OmegaConf.update(config, key, literal(value), merge=False)
        except OmegaConfBaseException as error:
            raise ConfigError(
                f"frozen_config: {lock.path} sets {key}, which this run has not; freeze it again"
            ) from error
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
    # A knob that is younger than the lock: the run's own value holds, as long as nobody sets it.
    own = RunConfig.__dataclass_fields__
    young = [key for key in named if "." in key and key.partition(".")[0] in own and key not in values]
    return found + [f"{key}: (absent) -> {OmegaConf.select(config, key)}" for key in young if not aside(key)]

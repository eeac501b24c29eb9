"""`hydra.sweeper.*` as in Hydra's own Optuna sweeper: the same keys, read into the knobs of the `sweep` node."""

import difflib
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from selfguide.config.sweep import SweepConfig
from selfguide.core.errors import ConfigError
from selfguide.search.sampler import KINDS
from selfguide.search.targets import pruner_of, sampler_of

NAMES = {
    "n_trials": "trials", "n_jobs": "parallel", "study_name": "name", "storage": "storage", "sampler": "sampler",
    "params": "space",
}  # fmt: skip


def sweeper_knobs(config: DictConfig) -> dict[str, Any]:
    """The knobs of `sweep` that `hydra.sweeper` sets. Raises `ConfigError` for a direction other than up."""
    node = OmegaConf.select(config, "hydra.sweeper")
    given = {} if node is None else OmegaConf.to_container(node, resolve=True)
    assert isinstance(given, dict)
    if given.get("direction") not in (None, "maximize"):
        raise ConfigError(f"hydra.sweeper.direction: {given['direction']} is not allowed; allowed: maximize")
    return {ours: given[theirs] for theirs, ours in NAMES.items() if given.get(theirs) is not None}


def check_search(knobs: SweepConfig) -> None:
    """Raise `ConfigError` for a sampler or pruner that does not exist or does not take its options."""
    if isinstance(knobs.sampler, Mapping):
        sampler_of(knobs.sampler)
    elif knobs.sampler not in KINDS:
        allowed = " | ".join((*KINDS, "{_target_: optuna.samplers.…}"))
        near = difflib.get_close_matches(str(knobs.sampler), KINDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"sweep.sampler: {knobs.sampler} is not allowed; allowed: {allowed}{hint}")
    if knobs.pruner is not None:
        pruner_of(knobs.pruner)

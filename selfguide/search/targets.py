"""Optuna's samplers and pruners by the path of their class.

`{_target_: optuna.samplers.TPESampler, multivariate: true}`: what is beside the path are its options.
"""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

from hydra.errors import HydraException
from hydra.utils import get_class
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from selfguide.core.errors import ConfigError

T = TypeVar("T")


def sampler_of(node: Mapping[str, Any], seed: int = 0) -> BaseSampler:
    """The sampler, with this seed if it takes one. Raises `ConfigError` if it cannot be made."""
    return _made(node, BaseSampler, "sweep.sampler", {"seed": seed})


def pruner_of(node: Mapping[str, Any]) -> BasePruner:
    """The pruner. Raises `ConfigError` if it cannot be made."""
    return _made(node, BasePruner, "sweep.pruner", {})


def _made(node: Mapping[str, Any], kind: type[T], key: str, offered: Mapping[str, Any]) -> T:
    options = {str(name): value for name, value in node.items() if name != "_target_"}
    target = str(node.get("_target_"))
    try:
        found = get_class(target)
        if not issubclass(found, kind):
            raise TypeError(f"it is no {kind.__name__} of Optuna")
        known = inspect.signature(found).parameters
        seeded = {name: value for name, value in offered.items() if name in known}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            made: T = found(**{**seeded, **options})
    except (HydraException, ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{key}._target_: {target}: {str(error).splitlines()[0]}") from error
    return made

"""`_target_` in a user's own configuration: the dotted path of a function or class, chosen in place of a name.

    # mine/method/echo.yaml, used with --config-dir mine method=echo
    name: echo
    _target_: my_module.run

The path becomes the value of the choice (here `method.kind`), and the registry knows it from then on. Only what was
composed for this process gets here: a frozen setting and a run folder hold names alone, and none is imported for them.
"""

import copy
from collections.abc import Iterator

from omegaconf import DictConfig, ListConfig, OmegaConf

from selfguide.config.builtin import ENGINES, REGISTRIES
from selfguide.config.registry import Registry

KEY = "_target_"


def with_targets(config: DictConfig) -> DictConfig:
    """The configuration with every `_target_` as its choice. Raises `ConfigError` for one that cannot be imported."""
    targets = list(_targets(config))
    if not targets:
        return config
    config = copy.deepcopy(config)
    for registry, key, target in targets:
        registry.take_target(target)
        OmegaConf.update(config, key, target, merge=False)
    return config


def _targets(config: DictConfig) -> Iterator[tuple[Registry, str, str]]:
    """(registry, key of the choice, dotted path)."""
    for registry in REGISTRIES:
        for key in (registry.key, *(["teacher.engine.name"] if registry is ENGINES else [])):
            # A choice that is a node's (method.kind) has its `_target_` beside it, any other one in its place.
            where = key.rpartition(".")[0] if registry.schema else key
            value = OmegaConf.select(config, where)
            values = list(enumerate(value)) if isinstance(value, ListConfig) else [(None, value)]
            for index, item in values:
                if isinstance(item, DictConfig) and item.get(KEY) is not None:
                    yield registry, key if index is None else f"{key}[{index}]", str(item[KEY])

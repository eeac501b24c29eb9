"""Compose a run configuration in a test as the command line would."""

import copy
import re
from functools import cache

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from selfguide.config.groups import register
from selfguide.config.schema import RunConfig
from selfguide.config.secrets import secret_problems
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir

# A value of one key, which chooses no file.
VALUE = re.compile(r"\+{0,2}(seed|(?!hydra\.)\w+(\.\w+)+)=")


def composed(*overrides: str, config_name: str = "config") -> DictConfig:
    """What Hydra composes. The choices of groups, which take most of the time, are composed once for all tests."""
    values = [override for override in overrides if VALUE.match(override)]
    choices = tuple(override for override in overrides if not VALUE.match(override))
    if not all((config_dir() / choice.partition("=")[0].lstrip("+")).is_dir() for choice in choices):
        return _composed(overrides, config_name)
    config = copy.deepcopy(_remembered(choices, config_name))
    # As Hydra itself does last.
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(values), config)
    for problem in secret_problems(config):
        raise ConfigError(problem)
    return config


def _composed(overrides: tuple[str, ...], config_name: str) -> DictConfig:
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(config_name, overrides=list(overrides))


_remembered = cache(_composed)


def run_config(*overrides: str) -> RunConfig:
    return typed(composed(*overrides))

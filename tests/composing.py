"""Compose a run configuration in a test as the command line would."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from selfguide.config.groups import register
from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed
from selfguide.core.paths import config_dir


def composed(*overrides: str, config_name: str = "config") -> DictConfig:
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(config_name, overrides=list(overrides))


def run_config(*overrides: str) -> RunConfig:
    return typed(composed(*overrides))

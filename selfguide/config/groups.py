"""Registers the schema with Hydra. Imported by every entry point before it composes."""

from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from selfguide.config import schema
from selfguide.config.builtin import ENGINES, METHODS
from selfguide.config.commands import SCHEMAS
from selfguide.config.plugins import register_plugins
from selfguide.config.secrets import register_check


def register() -> None:
    """Make `schema` and `schema_engine_*`, `schema_method_*` known to the defaults lists in `conf/`.

    They are no group, so that `--help` lists only what a user can choose.
    """
    # Hydra copies its store, schemas included, for each group that it lists: most of the time of `--help`.
    # The store is a singleton whose `load` hands out copies, so it may stand for its own copy.
    ConfigStore.__deepcopy__ = _itself  # type: ignore[attr-defined]
    OmegaConf.register_new_resolver("largest", lambda *values: max(map(int, values)), replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=schema.RunConfig)
    register_plugins()
    register_check()
    for registry in (METHODS, ENGINES):
        for name in registry.builtin:
            store.store(name=f"schema_{registry.node}_{name}", node=registry.schema_of(name))
    for name, node in SCHEMAS.items():
        store.store(name=name, node=node)


def _itself(store: ConfigStore, memo: dict[int, Any]) -> ConfigStore:
    return store

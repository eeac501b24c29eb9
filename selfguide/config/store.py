"""Registers the schema with Hydra. Imported by every entry point before it composes."""

from hydra.core.config_store import ConfigStore

from selfguide.config import schema


def register() -> None:
    """Make `schema` and `schema/engine/*` known to the defaults lists in `conf/`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=schema.RunConfig)
    for name, node in schema.ENGINES.items():
        store.store(group="schema/engine", name=name, node=node)

"""Composing a configuration outside a command: in a notebook, a test, a product that has a Hydra of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.explain import composing_problem, explain
from selfguide.config.groups import register
from selfguide.config.overrides import in_order
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir


@contextmanager
def own_hydra() -> Iterator[None]:
    """Within it Hydra knows this project's schema, plugins and files; afterwards the process has its own Hydra again.

    May be nested. Not for two threads at once: Hydra's state is the process's.
    """
    store, plugins, job = ConfigStore.instance(), Plugins.instance(), HydraConfig.instance()
    hydra, before = GlobalHydra.instance().hydra, (_tree(store.repo), dict(plugins.class_name_to_class), job.cfg)
    kinds = {kind: list(some) for kind, some in plugins.plugin_type_to_subclass_list.items()}
    copies, load = ConfigStore.__dict__.get("__deepcopy__"), ConfigLoaderImpl.load_configuration
    register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = hydra
        store.repo, plugins.class_name_to_class, job.cfg = before
        plugins.plugin_type_to_subclass_list.clear()
        plugins.plugin_type_to_subclass_list.update(kinds)
        ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign]
        if copies is None:
            del ConfigStore.__deepcopy__  # type: ignore[attr-defined]


def composed(
    overrides: Sequence[str], name: str = "config", *, hydra: bool = False, multirun: bool = False
) -> DictConfig:
    """The configuration `name` with command-line overrides, inside `own_hydra`; with `hydra`, Hydra's node too.

    With `multirun` that of a sweep, whose overrides may be `choice(…)` and the like; Hydra's node is then part of it.
    Raises `ConfigError` in the line that the command would print.
    """
    try:
        program, ordered = GlobalHydra.instance().hydra, in_order(list(overrides))
        if multirun and program is not None:
            return program.compose_config(name, ordered, run_mode=RunMode.MULTIRUN, with_log_configuration=False)
        return compose(name, overrides=ordered, return_hydra_config=hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    except ConfigError:
        raise
    except Exception as error:
        if (line := composing_problem(error, overrides)) is None:
            raise
        raise ConfigError(line) from error


def _tree(repo: dict[str, Any]) -> dict[str, Any]:
    """The store's groups; its nodes are never changed in place."""
    return {name: _tree(entry) if isinstance(entry, dict) else entry for name, entry in repo.items()}

"""Options of the configuration that installed packages bring: `method=NAME`, `engine=NAME`, …, as Hydra asks for them.

A package is imported when its option is chosen; listing options imports nothing.
"""

import re

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf, open_dict

from selfguide.config.builtin import NODES
from selfguide.config.registry import Registry

SCHEME = "selfguide-plugins"


class PluginOptions(ConfigSource):
    """`method/NAME` with the values of the plugin's dataclass, and `schema_method_NAME` for a YAML file's defaults."""

    @staticmethod
    def scheme() -> str:
        return SCHEME

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        registry = NODES.get(config_path.strip("/"))
        return registry is not None and bool(registry.plugins())

    def is_config(self, config_path: str) -> bool:
        return _find(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        registry = NODES.get(config_path.strip("/"))
        return [] if registry is None or results_filter is ObjectType.GROUP else sorted(registry.plugins())

    def load_config(self, config_path: str) -> ConfigResult:
        found = _find(config_path)
        assert found is not None  # Hydra asks for what `is_config` has said yes to
        registry, name = found
        node = OmegaConf.structured(registry.schema_of(name))
        with open_dict(node):
            node[registry.key.rpartition(".")[2]] = name
            if registry.node == "method" and OmegaConf.is_missing(node, "name"):
                node.name = name
        return ConfigResult(config=node, path=self.full_path(), provider=self.provider, header={"package": None})


class PluginSearchPath(SearchPathPlugin):
    """Behind all files: a file of the same name comes first."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("selfguide", f"{SCHEME}://")


def register_plugins() -> None:
    """Make Hydra ask for the options of installed packages."""
    plugins = Plugins.instance()
    plugins.register(PluginOptions)
    plugins.register(PluginSearchPath)


def _find(config_path: str) -> tuple[Registry, str] | None:
    path = config_path.strip("/").removesuffix(".yaml")
    match = re.fullmatch(r"(?:schema_)?(\w+?)[/_](.+)", path)
    registry = NODES.get(match[1]) if match else None
    return (registry, match[2]) if match and registry is not None and match[2] in registry.plugins() else None

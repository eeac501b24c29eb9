"""What a configuration may choose by name: built-in implementations, those of installed packages, a user's own.

An installed package adds a name with an entry point in the registry's group; its module is imported when the name
is used. A user's own function or class gets its dotted path as its name where the composed configuration has it as
`_target_` (see `selfguide.config.targets`). Nothing else makes a name known: none is ever imported for a value of a
lock or of a run folder.
"""

import pkgutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from selfguide.core.errors import ConfigError, MissingDependencyError


@dataclass(frozen=True)
class Entry:
    """An implementation. `factory` and `schema` are objects, or "module:attribute" and then imported when used.

    `schema` is the dataclass of its node of the configuration (None: the node's common one). Raise `version` when
    the same settings give another result: it is part of the keys of what is stored. `title` is for tables.
    """

    factory: Callable[..., Any] | str | None
    schema: type[Any] | str | None = None
    version: str = ""
    title: str = ""
    trains: bool = True
    """Of a method: whether it finetunes anything, which is then checked when a run starts."""
    package: str = ""
    """Of a plugin; filled in by the registry."""


class Registry:
    """The implementations behind one key of the configuration, say `method.kind`.

    `group` is the entry point group, `schema` the node's common dataclass as "module:attribute".
    """

    def __init__(self, key: str, group: str, entries: dict[str, Entry], schema: str | None = None) -> None:
        self.key, self.group, self.schema = key, group, schema
        self.builtin = dict(entries)
        self._targets: dict[str, Entry] = {}

    @property
    def node(self) -> str:
        """The node of the configuration that the key stands in."""
        return self.key.rpartition(".")[0]

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self._targets or name in _plugins(self.group)

    def names(self) -> tuple[str, ...]:
        """Built-in names, then those of installed packages, then the user's own."""
        return tuple(dict.fromkeys([*self.builtin, *_plugins(self.group), *self._targets]))

    def plugins(self) -> tuple[str, ...]:
        """The names that installed packages add; nothing is imported."""
        return tuple(name for name in _plugins(self.group) if name not in self.builtin)

    def entry(self, name: str) -> Entry:
        """The entry of that name. Raises `ConfigError`: unknown (with the names), or its package is broken."""
        known = self.builtin.get(name) or self._targets.get(name)
        if known is not None:
            return known
        point = _plugins(self.group).get(name)
        if point is None:
            raise ConfigError(f"{self.key}: {name!r} is not allowed; allowed: {' | '.join(self.names())}")
        return _of_plugin(self.key, point)

    def load(self, name: str) -> Any:
        """The implementation, imported. Raises as `entry`, or `MissingDependencyError` naming the missing package."""
        entry = self.entry(name)
        try:
            return _imported(entry.factory)
        except Exception as error:
            if entry.package:
                raise ConfigError(f"{self.key}: {name} of the package {entry.package} {_broken(error)}") from error
            if not isinstance(error, ModuleNotFoundError):
                raise
            message = f"{self.key}: {name} needs the package {error.name}, which is not installed"
            raise MissingDependencyError(message) from error

    def schema_of(self, name: str) -> type[Any]:
        """The dataclass of the node with that name chosen; the common one for a name that is not known (any more)."""
        schema = self.entry(name).schema if name in self else None
        found: type[Any] = _imported(schema or self.schema)
        return found

    def identity(self, name: str) -> str:
        """What stands for the implementation in the keys of what is stored: its name, and its version if it has one."""
        if name not in self:
            return name
        version = self.entry(name).version
        return name + (version if name in self.builtin else version and f"@{version}")

    def title(self, name: str) -> str:
        """What tables call it; never raises, as a run is shown where its plugin is not installed, too."""
        entry = None
        with suppress(ConfigError):
            entry = self.entry(name)
        return (entry and entry.title) or name.replace("_", " ")

    def take_target(self, target: str) -> None:
        """Make `target`, an importable function or class of the user's, known under its dotted path.

        Raises `ConfigError` if it cannot be imported. Its attributes `version` and `trains` are those of its `Entry`.
        """
        try:
            factory = pkgutil.resolve_name(target)
        except Exception as error:  # whatever the user's module raises
            where = f"{self.node}._target_"
            raise ConfigError(f"{where}: {target} {_broken(error)}") from error
        if not callable(factory):
            raise ConfigError(f"{self.node}._target_: {target} is not a function or class")
        version, trains = str(getattr(factory, "version", "")), bool(getattr(factory, "trains", True))
        self._targets[target] = Entry(factory, version=version, trains=trains)


@cache
def _plugins(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


@cache
def _of_plugin(key: str, point: EntryPoint) -> Entry:
    """What the entry point names: an `Entry`, or the factory itself, whose version is then that of its package."""
    package, version = (point.value, "") if point.dist is None else (point.dist.name, point.dist.version)
    try:
        found = point.load()
        entry = found if isinstance(found, Entry) else Entry(found)
        schema = None if entry.schema is None else _imported(entry.schema)
    except Exception as error:  # whatever the package raises
        raise ConfigError(f"{key}: {point.name} of the package {package} {_broken(error)}") from error
    return replace(entry, schema=schema, version=entry.version or version, package=package)


def _imported(reference: Any) -> Any:
    return pkgutil.resolve_name(reference) if isinstance(reference, str) else reference


def _broken(error: BaseException) -> str:
    return " ".join(f"cannot be imported: {type(error).__name__}: {error}".split())

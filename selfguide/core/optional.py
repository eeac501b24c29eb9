"""Packages that only an extra brings: imported where they are used, and missed in one line."""

import importlib
from typing import Any

from selfguide.core.errors import MissingDependencyError


def optional(module: str, user: str, extra: str) -> Any:
    """The module, of a package that `selfguide[extra]` installs.

    Raises `MissingDependencyError`, which names what needs it (`user`: a setting or a command) and the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{user} needs the package {error.name}: pip install 'selfguide[{extra}]'"
        ) from error

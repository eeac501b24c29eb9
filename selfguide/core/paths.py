"""Where the YAML files are: `selfguide/conf` and `selfguide/sweeps` in a wheel, `conf` and `sweeps` in a checkout."""

import os
from pathlib import Path

from selfguide.core.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
RESOURCES = _PACKAGE / "resources"


def config_dir() -> Path:
    """The folder with `config.yaml`; absolute, so that the working directory does not matter."""
    return _shipped("conf")


def sweeps_dir() -> Path:
    """The folder with what the recorded sweeps froze, `NAME/lock.yaml`."""
    return _shipped("sweeps")


def _shipped(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def expanded(path: Path | str, key: str = "") -> Path:
    """The path with `~` as the home folder. Raises `ConfigError` that names `key` for a user that is not there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        where = f"{key}: " if key else ""
        raise ConfigError(f"{where}{path}: there is no home folder of that user; allowed: a whole path") from None


def user_cache() -> Path:
    """What is kept for all runs of a user: $SELFGUIDE_CACHE, else selfguide in the user's cache folder."""
    home = Path(os.environ.get("HOME", "."))
    default = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "selfguide"
    return Path(os.environ.get("SELFGUIDE_CACHE") or default).absolute()

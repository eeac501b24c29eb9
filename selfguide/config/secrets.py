"""Addresses that hold a user name, a password or a query are refused before anything of a configuration is saved.

Hydra saves a run's configuration as soon as it is composed, so the check is part of composing.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from selfguide.core.errors import ConfigError

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s,'\"\])}]+")
# Keys of the user's texts and labels: an address in them is data.
_TEXT = re.compile(r"(^|\.)(instruction|demonstrations|labels|noise_terms|context_until|input_template|output_names)\b")
_load_configuration = ConfigLoaderImpl.load_configuration


def register_check() -> None:
    """Make Hydra refuse what `secret_problems` finds in the configuration of a command, and of each job of a sweep."""
    ConfigLoaderImpl.load_configuration = _checked  # type: ignore[method-assign, assignment]


def secret_problems(config: DictConfig) -> Iterator[str]:
    """One line, without the value, for each key whose address may hold a secret. Interpolations stay unresolved."""
    overrides: Any = OmegaConf.select(config, "hydra.overrides") or {}
    for override in (*overrides.get("hydra", ()), *overrides.get("task", ())):
        key, _, value = str(override).partition("=")
        yield from _problems(key.lstrip("+~"), value.strip("'\""))
    content: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    for key, inner in content.items():
        yield from _problems(str(key), inner)


def _checked(loader: ConfigLoaderImpl, *args: Any, **kwargs: Any) -> DictConfig:
    config = _load_configuration(loader, *args, **kwargs)
    for problem in secret_problems(config):
        raise ConfigError(problem)
    return config


def _problems(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _problems(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _problems(f"{key}[{index}]", inner)
    elif isinstance(value, str) and "://" in value and not _TEXT.search(key):
        for address in (value, *_ADDRESS.findall(value)):
            if (kind := _secret(address)) is not None:
                yield f"{key}: {kind}"
                return


def _secret(address: str) -> str | None:
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        user, password, _ = parts.username, parts.password, parts.port
    except ValueError:  # a password with a slash makes what is before it no port
        user = password = "unknown" if "@" in rest else None
    if scheme in ("http", "https"):
        if user is not None or "?" in rest or "#" in rest:
            return "holds a user name, a query or a key; allowed: http://host:port/v1, keys in the environment only"
    elif password or re.search(r"passw(?!\w*file)", rest.partition("?")[2], re.IGNORECASE):
        return (
            "holds a password, which every job would save; allowed: a URL without one "
            "(PostgreSQL reads PGPASSWORD, or ~/.pgpass)"
        )
    return None

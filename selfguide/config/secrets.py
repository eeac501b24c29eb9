"""Addresses that hold a user name, a password or a query, and keys, are refused before a configuration is saved.

Hydra saves a run's configuration as soon as it is composed, so the check is part of composing.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.core.errors import ConfigError
from selfguide.core.masking import is_secret_name, secret_in

HTTP_SECRET = "holds a user name, a query or a key; allowed: http://host:port/v1, keys in the environment only"
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s,'\"\])}]+")
# Keys of the user's texts and labels: an address in them is data.
_TEXT = re.compile(r"(^|\.)(instruction|demonstrations|labels|noise_terms|context_until|input_template|output_names)\b")
_QUERY_SECRET = re.compile(r"[?&;#]([\w.-]*[_.-])?(api_?key|key|token|secret|passw(or)?d|sig(nature)?)=", re.IGNORECASE)
_load_configuration = ConfigLoaderImpl.load_configuration


def register_check() -> None:
    """Make Hydra refuse what `secret_problems` finds in the configuration of a command, and of each job of a sweep."""
    ConfigLoaderImpl.load_configuration = _checked  # type: ignore[method-assign, assignment]


def secret_problems(config: DictConfig) -> Iterator[str]:
    """One line, without the value, for each key that may hold a secret, also one that an interpolation brings in."""
    overrides: Any = OmegaConf.select(config, "hydra.overrides") or {}
    for override in (*overrides.get("hydra", ()), *overrides.get("task", ())):
        key, _, value = str(override).partition("=")
        yield from _problems(key.lstrip("+~"), value.strip("'\""))
    content: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    for key, inner in content.items():
        yield from _problems(str(key), inner)
    for key in _interpolated("", content):
        # What cannot be resolved yet, Hydra's own nodes for one, or ever, is told by whoever needs it.
        with suppress(OmegaConfBaseException, ValueError, TypeError):
            yield from _problems(key, OmegaConf.select(config, key))


def _checked(loader: ConfigLoaderImpl, *args: Any, **kwargs: Any) -> DictConfig:
    config = _load_configuration(loader, *args, **kwargs)
    for problem in secret_problems(config):
        raise ConfigError(problem)
    return config


def _interpolated(key: str, value: Any) -> Iterator[str]:
    """The full keys of values with an interpolation."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _interpolated(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _interpolated(f"{key}[{index}]", inner)
    elif isinstance(value, str) and "${" in value:
        yield key


def _problems(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _problems(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _problems(f"{key}[{index}]", inner)
    elif isinstance(value, str) and (name := secret_in(value)):
        yield f"{key}: holds the value of the environment variable {name}; allowed: leave it in the environment"
    elif isinstance(value, str) and value and not _TEXT.search(key):
        addresses = (value, *_ADDRESS.findall(value)) if "://" in value else ()
        kinds = (*map(_secret, addresses), _QUERY_SECRET.search(value) and HTTP_SECRET, _misnamed(key, value))
        if (kind := next(filter(None, kinds), None)) is not None:
            yield f"{key}: {kind}"


def _misnamed(key: str, value: str) -> str | None:
    """What a value is not that its key wants: it may be a secret, and is not said."""
    name = key.rpartition(".")[2]
    if "${" in value:
        return None
    if is_secret_name(name):
        return "is called as a secret is, and would be saved; allowed: keys in the environment only"
    if name == "url" and not re.match(r"https?://", value):
        return "is not an http(s) address; allowed: https://host/folder, or data.root for a local folder"
    if name == "api_key_env" and not re.fullmatch(r"[A-Za-z_]\w*", value):
        return "is no name of an environment variable; allowed: letters, digits and _"
    return None


def _secret(address: str) -> str | None:
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        user, password, _ = parts.username, parts.password, parts.port
    except ValueError:  # a password with a slash makes what is before it no port
        user = password = "unknown"
    if scheme.lower() in ("http", "https"):
        if user is not None or "?" in rest or "#" in rest:
            return HTTP_SECRET
    elif password or re.search(r"passw(?!\w*file)", rest.partition("?")[2], re.IGNORECASE):
        return (
            "holds a password, which every job would save; allowed: a URL without one "
            "(PostgreSQL reads PGPASSWORD, or ~/.pgpass)"
        )
    return None

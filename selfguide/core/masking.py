"""Keeps secrets out of what is saved and shown, should one have got into a configuration."""

import os
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
# `max_new_tokens` counts tokens and `api_key_env` names a variable: neither is a secret.
_SECRET_NAME = re.compile(r"(^|_)(api_?key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_USER = re.compile(r"(https?://)[^\s'\"?]+@", re.IGNORECASE)
_QUERY = re.compile(r"(://[^\s'\"?#]*[?#]|[?&;#][\w.-]*=)[^\s'\"&;]+?(?=:?(?:[\s'\"&;]|$))")
_SHORTEST = 8  # an environment variable with a shorter value would mask ordinary words
_LONG = 12  # for refusing


def masked(value: Any) -> Any:
    """A JSON value with secrets replaced by `***`: by the key's name, or equal to a secret of the environment."""
    return _masked(value, _secrets(os.environ))


def masked_line(text: str) -> str:
    """A line about what was not accepted: also without the users and queries of its addresses, whole or broken."""
    return _QUERY.sub(rf"\1{MASK}", _USER.sub(rf"\1{MASK}@", masked(text)))


def is_secret_name(key: str) -> bool:
    """Whether a key is called as secrets are."""
    return _SECRET_NAME.search(key) is not None


def secret_in(text: str) -> str | None:
    """The environment variable whose secret stands in a text; None for short ones, which ordinary words may hold."""
    known = ((name, value) for name, value in os.environ.items() if len(value) >= _LONG and _SECRET_NAME.search(name))
    return next((name for name, value in known if value in text), None)


def _masked(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: MASK if isinstance(inner, str) and inner and _SECRET_NAME.search(str(key)) else _masked(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return _URL_PASSWORD.sub(MASK, value)
    return value


def _secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(text for name, text in environment.items() if len(text) >= _SHORTEST and _SECRET_NAME.search(name))

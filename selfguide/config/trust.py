"""What a file may not decide: a run's folder and a frozen setting come from others, and are data."""

import re
from typing import Any

# Code that comes with a model, where requests go, and which secret goes along.
_TRUSTED = re.compile(r"(^|\.)(trust_remote_code|base_url|api_key_env)$")
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def is_users_choice(key: str) -> bool:
    """Whether a key is the command line's and the environment's alone: trust, endpoint, name of the key's variable."""
    return _TRUSTED.search(key) is not None


def literal(value: Any) -> Any:
    """A value for OmegaConf that stays the text it is: `${oc.env:HOME}` is read as these characters."""
    if isinstance(value, str):
        return _INTERPOLATION.sub(lambda match: match[1] * 2 + r"\${", value)
    if isinstance(value, dict):
        return {key: literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literal(inner) for inner in value]
    return value

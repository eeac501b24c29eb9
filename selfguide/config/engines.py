"""What an engine's settings must agree in, and what an address may hold. The knobs: serving.py."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from selfguide.config.serving import EngineConfig, ModelConfig, OpenAIEngineConfig


def engine_problems(run: str, engine: EngineConfig, model: ModelConfig) -> Iterator[str]:
    """One line for each mistake; `run` is what stands before `engine.` and `model.` in the keys.

    No line shows an address or the name of a variable: somebody may have put a key there.
    """
    if not isinstance(engine, OpenAIEngineConfig):
        return
    yield from _address_problems(f"{run}engine.base_url", engine.base_url)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", engine.api_key_env):
        yield f"{run}engine.api_key_env: is no name of an environment variable; allowed: letters, digits and _"
    if engine.dialect == "chat" and model.prompt_format == "chat":
        yield (
            f"{run}engine.dialect: chat is not allowed with {run}model.prompt_format=chat (the server would put the "
            f"model's turns into a turn of its own); allowed: vllm | completions, or {run}model.prompt_format=plain"
        )


def _address_problems(key: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, say
        yield f"{key}: is no address of a server; allowed: http://host:port/v1"
        return
    if "@" in parts.netloc or "?" in address or "#" in address:
        yield f"{key}: holds a user name, a query or a key; allowed: http://host:port/v1, keys in the environment only"
    elif not whole or not address.isprintable() or " " in address:
        yield f"{key}: is no address of a server; allowed: http://host:port/v1"

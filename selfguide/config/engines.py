"""What an engine's settings must agree in, and what an address may hold. The knobs: serving.py."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from selfguide.config.serving import EngineConfig, ModelConfig, OpenAIEngineConfig


def engine_problems(run: str, engine: EngineConfig, model: ModelConfig) -> Iterator[str]:
    """One line for each mistake; `run` is what stands before `engine.` and `model.` in the keys.

    No line shows an address or the name of a variable: somebody may have put a key there.
    """
    served = isinstance(engine, OpenAIEngineConfig) and engine.dialect == "chat"
    if served != (model.prompt_format == "turns"):
        yield (
            f"{run}model.prompt_format: {model.prompt_format} is not allowed with {run}engine={engine.name}"
            + (
                f" {run}engine.dialect=chat, whose server renders the turns; allowed: turns"
                if served
                else "; allowed: plain | chat (turns: engine=openai engine.dialect=chat)"
            )
        )
    if not isinstance(engine, OpenAIEngineConfig):
        return
    yield from _address_problems(f"{run}engine.base_url", engine.base_url)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", engine.api_key_env):
        yield f"{run}engine.api_key_env: is no name of an environment variable; allowed: letters, digits and _"


def _address_problems(key: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, say
        yield f"{key}: is not the address of a server; allowed: http://host:port/v1"
        return
    if "@" in parts.netloc or "?" in address or "#" in address:
        yield f"{key}: holds a user name, a query or a key; allowed: http://host:port/v1, keys in the environment only"
    elif not whole or not address.isprintable() or " " in address:
        yield f"{key}: is not the address of a server; allowed: http://host:port/v1"

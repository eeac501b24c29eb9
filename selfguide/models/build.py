"""`engine.name` -> engine. The implementations are imported only when they are asked for."""

import importlib

from selfguide.config.schema import EngineConfig, RunConfig
from selfguide.core.errors import ConfigError, MissingDependencyError
from selfguide.models.base import Engine

ENGINES = {
    "hf": "selfguide.models.hf:HFEngine",
    "vllm": "selfguide.models.vllm:VLLMEngine",
    "openai": "selfguide.models.openai:OpenAIEngine",
}
"""Each class has `from_config(config: RunConfig)`."""
REVISIONS = {"openai": "2"}
"""Raised when an engine answers the same request otherwise than it did."""


def engine_identity(engine: EngineConfig) -> str:
    """What of the engine decides answers, for stage keys: its name, what it makes of the weights, who serves."""
    name = engine.name + REVISIONS.get(engine.name, "")
    parts = [name, getattr(engine, "quantization", None), getattr(engine, "model", None)]
    dialect = getattr(engine, "dialect", "vllm")
    return "+".join([*(str(part) for part in parts if part), *([dialect] if dialect != "vllm" else [])])


def build_engine(config: RunConfig) -> Engine:
    """The engine of this run. Raises `ConfigError` (no such engine) or `MissingDependencyError` (its package)."""
    name = config.engine.name
    if name not in ENGINES:
        raise ConfigError(f"engine.name: {name!r} (allowed: {' | '.join(ENGINES)})")
    module, _, attribute = ENGINES[name].partition(":")
    try:
        engine_class = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"engine={name} needs the package {error.name}, which is not installed") from error
    engine: Engine = engine_class.from_config(config)
    return engine

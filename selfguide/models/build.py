"""From the configuration to an engine; its implementation is imported only then."""

import importlib.util
from pathlib import Path

from selfguide.config.builtin import ENGINES
from selfguide.config.schema import RunConfig
from selfguide.config.serving import EngineConfig
from selfguide.core.files import canonical_json
from selfguide.models.base import Engine


def engine_identity(engine: EngineConfig) -> str:
    """What of the engine decides answers, for stage keys: its name, what it makes of the weights, who serves."""
    parts = [ENGINES.identity(engine.name), getattr(engine, "quantization", None), getattr(engine, "model", None)]
    parts += [canonical_json(engine.options)] if engine.options else []
    dialect = getattr(engine, "dialect", "vllm")
    return "+".join([*(str(part) for part in parts if part), *([dialect] if dialect != "vllm" else [])])


def build_engine(config: RunConfig) -> Engine:
    """The engine of this run. Raises `ConfigError` (no such engine) or `MissingDependencyError` (its package)."""
    engine: Engine = ENGINES.load(config.engine.name)(config)
    return engine


def lifetime_of(settings: EngineConfig) -> str:
    """What becomes of an engine while the model is finetuned: keep | sleep | restart.

    `auto`: on a GPU the training gets the memory: vLLM sleeps (where it cannot, goes), engine=hf goes. Any other stays.
    """
    if settings.lifetime != "auto":
        return settings.lifetime
    device = getattr(settings, "device", "auto")
    if settings.name not in ("vllm", "hf") or device == "cpu":
        return "keep"
    import torch

    if not torch.cuda.is_available():
        return "keep"
    return "sleep" if settings.name == "vllm" and _can_sleep() else "restart"


def _can_sleep() -> bool:
    """Whether vLLM's allocator, which gives memory back under a running engine, is there. vLLM is not imported."""
    package = importlib.util.find_spec("vllm")
    places = package.submodule_search_locations if package is not None else None
    return any(list(Path(place).glob("cumem_allocator*")) for place in places or ())

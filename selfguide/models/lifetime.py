"""What becomes of an engine while the model is finetuned."""

from selfguide.config.schema import EngineConfig


def lifetime_of(settings: EngineConfig) -> str:
    """keep | sleep | restart. `auto`: vLLM on a GPU fills it and goes while the model is trained; any other stays."""
    if settings.lifetime != "auto":
        return settings.lifetime
    if settings.name != "vllm":
        return "keep"
    import torch

    return "restart" if torch.cuda.is_available() else "keep"

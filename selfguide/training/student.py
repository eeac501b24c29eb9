"""The model to train, and the optimizer that its weights ask for."""

from typing import Any

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.errors import ConfigError
from selfguide.models.devices import has_bfloat16
from selfguide.models.loading import load_model
from selfguide.models.lora import lora_config

_OPTIMIZERS = {
    ("adamw", False): "adamw_torch",
    ("adamw", True): "adamw_torch_fused",  # no temporary copy as large as the weights
    ("adamw_8bit", True): "adamw_bnb_8bit",
}


def optimizer_name(settings: FinetuningConfig, device: str) -> str:
    """What `TrainingArguments` calls `finetuning.optimizer` on a device."""
    return _OPTIMIZERS[settings.optimizer, device.startswith("cuda")]


def rounding(settings: FinetuningConfig, dtype: Any) -> tuple[type, dict[str, Any]] | None:
    """The optimizer of 16-bit weights, as `Trainer` takes it; None where torch's own will do."""
    import torch

    if settings.kind != "full" or settings.master_weights == "none" or dtype != torch.bfloat16:
        return None
    from selfguide.training.optimizer import RoundedAdamW

    return RoundedAdamW, {"lr": settings.learning_rate, "copies": settings.master_weights == "float32"}


def student_model(config: RunConfig, device: str) -> Any:
    """The model to train: with adapters on its linear layers, or with every weight free."""
    settings = config.finetuning
    model = load_model(
        config.model,
        device=device,
        dtype=_training_dtype(settings, device),
        attention=settings.attention,
        quantization=settings.quantization,
    )
    model.config.use_cache = False
    if settings.kind == "full":
        return model
    from peft import get_peft_model, prepare_model_for_kbit_training

    if settings.quantization != "none":
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=bool(settings.gradient_checkpointing),
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    try:
        return get_peft_model(model, lora_config(settings))
    except ValueError as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(f"finetuning.target_modules: {settings.target_modules}: {reason}") from error


def _training_dtype(settings: FinetuningConfig, device: str) -> str:
    """`finetuning.dtype`; a GPU without bfloat16 trains adapters on float16 weights, and all weights in float32."""
    if settings.dtype == "auto" and settings.kind == "full" and device.startswith("cuda") and not has_bfloat16():
        return "float32"
    return "float32" if settings.dtype == "mixed" else settings.dtype

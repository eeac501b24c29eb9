"""`finetuning.sharding: fsdp`: weights, gradients and optimizer state cut up over the processes.

For full finetuning of models that one device does not hold: 7 billion weights in bfloat16 need
about 54 GB with gradients and AdamW's state. By torch's fully_shard (FSDP2), through accelerate.
"""

from pathlib import Path
from typing import Any

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import ConfigError

SHARDS = "pytorch_model_fsdp_0"
"""The folder in a checkpoint that holds the weights' parts."""


def check_sharding(settings: FinetuningConfig) -> None:
    """Raises `ConfigError` where there is nothing to cut up, or nobody to share it."""
    if settings.sharding == "none":
        return
    if settings.kind != "full":
        raise ConfigError(
            f"finetuning.sharding: fsdp needs finetuning.kind=full, not {settings.kind} (with adapters: none)"
        )
    if settings.processes < 2:
        raise ConfigError("finetuning.sharding: fsdp needs finetuning.processes of 2 or more (allowed here: none)")


def sharding_arguments(settings: FinetuningConfig) -> dict[str, Any]:
    """What `TrainingArguments` is told; empty without sharding."""
    if settings.sharding == "none":
        return {}
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",  # one piece for each layer, as the model names them
            "reshard_after_forward": True,
            "state_dict_type": "SHARDED_STATE_DICT",  # of checkpoints: each process writes its own part
            "activation_checkpointing": settings.gradient_checkpointing is not False,
        },
        # The weights are trained in the dtype they have, as without sharding: no second copy in float32.
        "bf16": False,
        # Recomputing is the wrapper's task here: it would otherwise gather a layer's weights twice.
        "gradient_checkpointing": False,
        "gradient_checkpointing_kwargs": None,
    }


def resumable(checkpoint: Path | None, settings: FinetuningConfig) -> Path | None:
    """The checkpoint, unless it was written with another `sharding`: neither can read the other's."""
    if checkpoint is None or (checkpoint / SHARDS).exists() != (settings.sharding == "fsdp"):
        return None
    return checkpoint


def shard_on_cpu(trainer: Any) -> None:
    """Accelerate ignores FSDP where there is no GPU, and would train unsharded; torch and gloo can do it."""
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    accelerator = trainer.accelerator
    if trainer.args.fsdp_plugin_args is None or accelerator.distributed_type == DistributedType.FSDP:
        return
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
    accelerator.state.distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def whole_weights(trainer: Any) -> dict[str, Any] | None:
    """The gathered weights, in the first process's main memory (the others get `{}`); None without sharding.

    All processes must call it together.
    """
    if not trainer.is_fsdp_enabled:
        return None
    first = trainer.is_world_process_zero()
    weights: dict[str, Any] = {}
    seen: set[int] = set()
    for name, shard in trainer.model.state_dict(keep_vars=True).items():
        if id(shard) in seen:  # tied weights are one
            continue
        seen.add(id(shard))
        # One after another: no device holds two of them whole.
        whole = shard.full_tensor() if hasattr(shard, "full_tensor") else shard
        if first:
            weights[name] = whole.detach().to("cpu", copy=True)
    return weights

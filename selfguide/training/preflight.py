"""What a training will need, checked when a run starts to work, not after hours of generation."""

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError, MissingDependencyError
from selfguide.models.devices import cards
from selfguide.models.loading import check_attention, check_quantization
from selfguide.models.memory import GIB, Shape
from selfguide.models.source import check_text_only, context_length, resolve_model
from selfguide.training.distributed import check_processes
from selfguide.training.fitting import (
    Fit,
    fits,
    kept_by_engine,
    memory_table,
    shape_of,
    training_device,
)
from selfguide.training.preference import require_trl
from selfguide.training.sharding import check_sharding

CHANGES: tuple[dict[str, Any], ...] = (
    {"gradient_checkpointing": None},
    {"master_weights": "stochastic_rounding"},
    {"optimizer": "adamw_8bit", "master_weights": "none"},
    {"kind": "lora", "optimizer": "adamw"},
    {"kind": "lora", "optimizer": "adamw", "gradient_checkpointing": None},
    {"kind": "lora", "optimizer": "adamw", "gradient_checkpointing": None, "quantization": "4bit"},
)
"""What takes less, the least change first."""


def preflight(config: RunConfig, terminal: Terminal) -> None:
    """Raise `ConfigError` or `MissingDependencyError` for what cannot be trained; print the memory of what can.

    Packages, devices, processes, the names of target modules, disk and memory. The table is printed for GPUs alone.
    """
    settings, device = config.finetuning, training_device(config)
    check_settings(settings, device)
    check_text_only(resolve_model(config.model))
    check_targets(config)
    shape = shape_of(config)
    if shape is None:
        return
    check_disk(config, shape, device)
    tokens = min(settings.max_length, context_length(config.model))
    room = room_for_training(config, shape) if device.startswith("cuda") else psutil.virtual_memory().total
    if room is None:
        return
    check_memory(config, shape, tokens, room)
    if device.startswith("cuda"):
        title = f"memory in GiB on {cards()[0].name}, rows as long as finetuning.max_length allows"
        terminal.table(title, ("", "GiB"), memory_table(config, room, tokens))


def check_settings(settings: FinetuningConfig, device: str) -> None:
    """What needs no look at the model."""
    if settings.quantization != "none" and settings.kind != "lora":
        raise ConfigError(f"finetuning.quantization: {settings.quantization} needs finetuning.kind=lora")
    if settings.objective != "sft":
        require_trl(settings.objective)
    check_sharding(settings)
    check_attention(settings.attention, device, settings.dtype, "finetuning", "finetuning")
    check_quantization(settings.quantization, device)
    if settings.optimizer == "adamw_8bit":
        if not device.startswith("cuda"):
            raise ConfigError(
                f"finetuning.optimizer: adamw_8bit needs a CUDA device, not {device} (allowed here: adamw)"
            )
        if importlib.util.find_spec("bitsandbytes") is None:
            raise MissingDependencyError(
                "finetuning.optimizer: adamw_8bit needs the package bitsandbytes: pip install selfguide[bitsandbytes]"
            )
    if settings.processes > 1:
        check_processes(settings, device)


def check_targets(config: RunConfig) -> None:
    """Raise `ConfigError` for a `finetuning.target_modules` that no weight of a local model is called by."""
    settings, folder = config.finetuning, resolve_model(config.model).folder
    if settings.kind != "lora" or settings.target_modules == "all-linear" or folder is None:
        return
    modules = {name.split(".")[-2] for path in folder.glob("*.safetensors") for name in _names(path) if "." in name}
    wanted = {name.strip() for name in settings.target_modules.split(",")}
    if not wanted & modules:
        raise ConfigError(
            f"finetuning.target_modules: {settings.target_modules}: the model has no such module; "
            f"allowed: all-linear, or some of {', '.join(sorted(modules))}"
        )


def check_disk(config: RunConfig, shape: Shape, device: str) -> None:
    """Raise `ConfigError` if the store cannot hold the weights of every epoch and a checkpoint."""
    settings = config.finetuning
    [fit, *_] = fits(shape, settings, device, 1)
    cut = settings.processes if settings.sharding == "fsdp" else 1
    trained = fit.parts["gradients"] * cut
    needed = trained * settings.max_epochs + 2 * (trained + fit.parts["optimizer"] * cut)
    root = Path(config.store.root).expanduser().absolute()
    there = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ConfigError(
            f"store.root: {there} has {free / GIB:.1f} GiB left, and {settings.max_epochs} epochs of "
            f"finetuning.kind={settings.kind} with their checkpoints take {needed / GIB:.1f} GiB; allowed: a folder "
            "with that much space, or a smaller finetuning.max_epochs"
        )


def room_for_training(config: RunConfig, shape: Shape) -> int | None:
    """Bytes of the smallest GPU that the engine will not keep; None where the driver does not say.

    Of all of it: what is in use now may be an engine that leaves before the training.
    """
    total = min((card.total for card in cards()), default=None)
    return None if total is None else total - kept_by_engine(config, shape, total)


def check_memory(config: RunConfig, shape: Shape, tokens: int, room: int) -> None:
    """Raise `ConfigError` if not even one row at a time fits `room` bytes, and say what would."""
    settings, device = config.finetuning, training_device(config)
    least = _least(shape, settings, device, tokens)
    if least.needed <= room:
        return
    found = list(_smaller(shape, settings, device, tokens, room))
    advice = f"what fits: {found[0]}" if found else "nothing of this model fits: take a smaller one, or more GPUs"
    raise ConfigError(
        f"finetuning.kind: {settings.kind} of {config.model.name} takes {least.needed / GIB:.1f} GiB with one row of "
        f"{tokens} tokens at a time, and {device} has {room / GIB:.1f} GiB for it; {advice}"
    )


def _least(shape: Shape, settings: FinetuningConfig, device: str, tokens: int) -> Fit:
    return min(fits(shape, settings, device, tokens), key=lambda fit: fit.needed)


def _smaller(shape: Shape, settings: FinetuningConfig, device: str, tokens: int, room: int) -> Iterator[str]:
    """Changes that fit, as overrides with what they take."""
    for change in CHANGES:
        changed = replace(settings, **change)
        if changed == settings or (change.get("quantization") and not device.startswith("cuda")):
            continue
        least = _least(shape, changed, device, tokens)
        if least.needed <= room:
            differs = {k: v for k, v in change.items() if getattr(settings, k) != v}
            text = " ".join(f"finetuning.{k}={'null' if v is None else v}" for k, v in differs.items())
            yield f"{text} ({least.needed / GIB:.1f} GiB)"
    for shorter in (tokens // 2, tokens // 4):
        if (least := _least(shape, settings, device, shorter)).needed <= room:
            yield f"finetuning.max_length={shorter} ({least.needed / GIB:.1f} GiB)"


def _names(path: Path) -> list[str]:
    """Of the tensors in a safetensors file; none of them is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise ConfigError(f"model.path: {path} is damaged; download it again: {error}") from None

"""Whether a training changed anything: without it, a score of the base model would pass for the method's."""

from pathlib import Path
from typing import Any

from safetensors import safe_open

from selfguide.config.schema import RunConfig
from selfguide.core.errors import TrainingError
from selfguide.models.source import weights_folder


def check_changed(config: RunConfig, folder: Path) -> None:
    """Raise `TrainingError` if the weights in an epoch's folder are those that the training began with."""
    lora = config.finetuning.kind == "lora"
    if _moved(folder) if lora else _differs(folder, weights_folder(config.model)):
        return
    settings = config.finetuning
    raise TrainingError(
        f"the training changed no weight: finetuning.learning_rate={settings.learning_rate:g} and "
        f"finetuning.warmup_fraction={settings.warmup_fraction:g} leave nothing of its steps, or "
        f"finetuning.dtype={settings.dtype} rounds them away; raise the learning rate"
    )


def _moved(folder: Path) -> bool:
    """Whether an adapter does anything: a LoRA begins with all B at zero."""
    return any(bool(tensor.any()) for name, tensor in _tensors(folder) if "lora_B" in name)


def _differs(folder: Path, base: Path) -> bool:
    """Whether any tensor is another than the base model's of that name; most differ in the first."""
    where = {name: file for file in base.glob("*.safetensors") for name in _names(file)}
    for name, tensor in _tensors(folder):
        if name not in where:
            return True  # stored in another form: nothing can be said
        with safe_open(where[name], "pt") as file:
            if not file.get_tensor(name).to(tensor.dtype).equal(tensor):
                return True
    return False


def _names(path: Path) -> list[str]:
    with safe_open(path, "pt") as file:
        return list(file.keys())


def _tensors(folder: Path) -> Any:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)

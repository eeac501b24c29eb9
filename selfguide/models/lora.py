"""Adapters as peft makes them: their settings, one that changes nothing, and weights with one merged into them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.child import call
from selfguide.models.base import Weights
from selfguide.models.loading import load_model, load_prompt_tokenizer
from selfguide.models.source import resolve_model


def lora_config(settings: FinetuningConfig) -> Any:
    """peft's `LoraConfig` of `finetuning=lora`."""
    from peft import LoraConfig

    targets = settings.target_modules
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
        task_type="CAUSAL_LM",
    )


@contextmanager
def empty_adapter(config: RunConfig) -> Iterator[Path]:
    """A folder with an adapter of the run's shape whose every weight is 0, for the length of the block.

    The model is never loaded: its shapes come from its configuration.
    """
    with TemporaryDirectory(prefix="selfguide-adapter-") as folder:
        call(write_empty, config, Path(folder))
        yield Path(folder)


def merge(config: RunConfig, adapter: Weights, folder: Path) -> None:
    """Write the base model with the adapter merged into it, and its tokenizer, into `folder`.

    In a process of its own: it takes a whole model's memory, and where vLLM runs a class of transformers in this one,
    that class is changed for everybody.
    """
    call(write_merged, config, adapter, folder)


def write_empty(config: RunConfig, folder: Path) -> None:
    """What `empty_adapter` gives, in this process."""
    import torch
    from peft import get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    source = resolve_model(config.model)
    trusted = config.model.trust_remote_code
    shape = AutoConfig.from_pretrained(source.location, revision=source.revision, trust_remote_code=trusted)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape, trust_remote_code=trusted)
        model = get_peft_model(model, lora_config(config.finetuning))
    zeros = {name: torch.zeros(weight.shape) for name, weight in get_peft_model_state_dict(model).items()}
    model.peft_config["default"].save_pretrained(folder)
    save_file(zeros, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def write_merged(config: RunConfig, adapter: Weights, folder: Path) -> None:
    """`merge`, in this process."""
    from peft import PeftModel

    model = load_model(config.model, device="cpu")
    PeftModel.from_pretrained(model, str(adapter.path)).merge_and_unload().save_pretrained(folder)
    load_prompt_tokenizer(config.model).tokenizer.save_pretrained(folder)

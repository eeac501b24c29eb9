"""Loading a model and its tokenizer, on which device, in which dtype, with which attention."""

import importlib.util
import logging
from pathlib import Path
from typing import Any, cast

from selfguide.config.serving import ModelConfig
from selfguide.core.console import log_once
from selfguide.core.errors import ConfigError, MissingDependencyError
from selfguide.models.devices import has_bfloat16
from selfguide.models.source import (
    ModelSource,
    check_text_only,
    model_folder,
    not_loadable,
    resolve_model,
    stop_ids,
)
from selfguide.prompts.tokenization import PromptFormat, PromptTokenizer

log = logging.getLogger(__name__)
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
_OTHER_ATTENTION = "(allowed here: auto | sdpa | eager)"


def load_prompt_tokenizer(cfg: ModelConfig) -> PromptTokenizer:
    """The model's tokenizer bound to `model.prompt_format`."""
    from transformers import AutoTokenizer

    if cfg.prompt_format == "turns":
        raise ConfigError(
            "model.prompt_format: turns leaves tokenization to the server, but this step counts tokens; allowed: "
            "plain | chat, with a model.path that holds the tokenizer"
        )
    source = resolve_model(cfg)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.location, revision=source.revision, trust_remote_code=bool(cfg.trust_remote_code)
        )
    except Exception as error:
        raise not_loadable(source, error) from error
    return PromptTokenizer(
        tokenizer,
        cast(PromptFormat, cfg.prompt_format),
        cfg.chat_template,
        cfg.template_options,
        stop_ids(source),
    )


def load_model(
    cfg: ModelConfig,
    *,
    device: str,
    dtype: str | None = None,
    attention: str = "auto",
    folder: Path | None = None,
    quantization: str = "none",
) -> Any:
    """The causal LM in eval mode on `device` ("cpu", "cuda", …), weights from safetensors only.

    `folder` loads other weights of the same kind (a full finetuning) instead of `model.path`.
    `dtype` is a name of `model.dtype`; "auto" is bfloat16 on a GPU that has it, float16 on another, float32 on a CPU.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    source = resolve_model(cfg) if folder is None else ModelSource(str(model_folder(folder, str(folder))), None)
    check_text_only(source)
    extra: dict[str, Any] = {} if attention == "auto" else {"attn_implementation": attention}
    if device.startswith("cuda"):
        # Straight to the device, tensor by tensor: several processes would else hold as many copies in main memory.
        extra |= {"device_map": {"": device if ":" in device else f"{device}:0"}}
    if quantization == "4bit":
        check_quantization(quantization, device)
        extra |= {"quantization_config": _four_bit(device)}
    quiet = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.location,
            revision=source.revision,
            dtype=torch_dtype(dtype or cfg.dtype, device),
            use_safetensors=True,
            trust_remote_code=bool(cfg.trust_remote_code),
            **extra,
        )
    except Exception as error:
        raise not_loadable(source, error) from error
    finally:
        if quiet:
            logging.enable_progress_bar()
    tidy_generation(model.generation_config, source.location)
    return (model if "device_map" in extra else model.to(device)).eval()


def tidy_generation(config: Any, location: str) -> None:
    """Leave out of a generation config what makes it invalid: transformers would not write it again.

    Mostly sampling settings without `do_sample`, which have no effect (Vicuna's temperature and top_p).
    """
    if config is None or _is_valid(config):
        return
    neutral, left_out = type(config)(), []
    for names in (_SAMPLING, tuple(vars(neutral))):
        for name in names:
            if not name.endswith("_token_id") and getattr(config, name, None) != getattr(neutral, name, None):
                setattr(config, name, getattr(neutral, name, None))
                left_out.append(name)
        if _is_valid(config):
            break
    listed = ", ".join(sorted(left_out))
    log_once(log, f"{location}: its generation config is invalid; these keys have no effect and are ignored: {listed}")


def _is_valid(config: Any) -> bool:
    try:
        config.validate(strict=True)
    except ValueError:
        return False
    return True


def pick_device(name: str) -> str:
    """The device of `engine.device`: "auto" is the first GPU, else the CPU. `ConfigError` if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"engine.device: {name!r} is not a device (allowed: auto, cpu, cuda, cuda:0, mps)") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }.get(device.type, True)
    if not there:
        raise ConfigError(f"engine.device: {name}, but this machine has no such device (auto picks what there is)")
    return str(device)


def check_attention(attention: str, device: str, dtype: str, key: str = "engine", dtype_key: str = "model") -> None:
    """What `engine.attention` and `finetuning.attention` need of the machine, before any weights are loaded.

    Raises `ConfigError` or `MissingDependencyError`, in one line, where flash attention cannot run."""
    if attention != "flash_attention_2":
        return
    if not device.startswith("cuda"):
        raise ConfigError(f"{key}.attention: {attention} needs a CUDA device, not {device} {_OTHER_ATTENTION}")
    if dtype == "float32":
        wanted = f"{dtype_key}.dtype=bfloat16 or float16"
        raise ConfigError(f"{key}.attention: {attention} needs {wanted}, not {dtype} {_OTHER_ATTENTION}")
    if importlib.util.find_spec("flash_attn") is None:
        raise MissingDependencyError(f"{key}.attention: {attention} needs the package flash-attn {_OTHER_ATTENTION}")


def torch_dtype(name: str, device: str) -> Any:
    """The torch dtype of a `dtype` knob on a device."""
    import torch

    if name != "auto":
        return getattr(torch, name)
    if not device.startswith("cuda"):
        return torch.float32
    return torch.bfloat16 if has_bfloat16() else torch.float16


def check_quantization(quantization: str, device: str) -> None:
    """Raises `ConfigError` or `MissingDependencyError` where `finetuning.quantization` cannot be had."""
    if quantization == "none":
        return
    if not device.startswith("cuda"):
        raise ConfigError("finetuning.quantization: 4bit needs a CUDA device (allowed here: none)")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError("finetuning.quantization: 4bit needs the package bitsandbytes")


def _four_bit(device: str) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch_dtype("auto", device),
        bnb_4bit_use_double_quant=True,
    )

"""Which language model `model.path` means, what identifies its content, and loading it.

Resolving, identity and context length read small files only: nothing here imports torch until
`load_model` or `load_prompt_tokenizer` is called.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.config.schema import ModelConfig
from selfguide.core.errors import ConfigError, MissingDependencyError
from selfguide.core.paths import RESOURCES
from selfguide.prompts.tokenization import PromptTokenizer

MICRO = RESOURCES / "micro" / "model"
HASH_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfguide" / "hashes"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What decides the answers of a local model, beside its weights.
_SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
_TEMPLATES = ("chat_template.jinja", "chat_template.json")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is: a local folder (`revision` is None), or a hub id at a resolved commit."""

    location: str
    revision: str | None

    @property
    def folder(self) -> Path | None:
        """The local folder; None for a model of the hub."""
        return Path(self.location) if self.revision is None else None


def resolve_model(cfg: ModelConfig) -> ModelSource:
    """Find the model of `model.path`: "micro", a folder, or `owner/name[@revision]` on the hub.

    A hub branch is resolved to the commit already on this machine, if any; otherwise the hub is
    asked. Raises `ConfigError` in one line if there is no such model.
    """
    path = str(cfg.path)
    if path == "micro":
        return ModelSource(str(_model_folder(MICRO, path)), None)
    folder = Path(path).expanduser()
    if folder.exists():
        return ModelSource(str(_model_folder(folder.resolve(), path)), None)
    name, _, tagged = path.partition("@")
    if not _HUB_ID.fullmatch(name) or path.startswith((".", "/", "~")):
        raise ConfigError(
            f"model.path: no such folder: {path} (allowed: micro, a local folder, or owner/name of the hub)"
        )
    return ModelSource(name, _resolve_commit(name, tagged or cfg.revision or "main"))


def model_identity(cfg: ModelConfig) -> str:
    """What the model *is*, for store keys: content hash of a local folder, or `id@commit` of the hub.

    The prompt format and chat template are part of it; the place of the files is not.
    """
    source = resolve_model(cfg)
    if source.folder is None:
        base, templates = f"{source.location}@{source.revision}", []
    else:
        base = _folder_hash(source.folder)
        templates = [source.folder / name for name in _TEMPLATES] if cfg.prompt_format == "chat" else []
    digest = hashlib.sha256(f"{cfg.prompt_format}\x1f{_template_text(cfg.chat_template)}".encode())
    for path in templates:
        digest.update(path.read_bytes() if path.exists() else b"")
    return f"{base}+{cfg.prompt_format}-{digest.hexdigest()[:12]}"


def context_length(cfg: ModelConfig) -> int:
    """Tokens (prompt and completion together) that the model takes: its own limit, or a smaller one asked for."""
    raw = model_json(resolve_model(cfg), "config.json")
    text = raw.get("text_config") or raw
    limit = text.get("max_position_embeddings") or text.get("n_positions")
    if cfg.context_length is None:
        if limit is None:
            raise ConfigError(f"model.context_length: {cfg.path} does not state its context length; set it")
        return int(limit)
    if limit is not None and cfg.context_length > limit:
        raise ConfigError(
            f"model.context_length: {cfg.context_length} is more than the {limit} tokens {cfg.path} takes"
        )
    return int(cfg.context_length)


def weights_folder(cfg: ModelConfig) -> Path:
    """The folder with the model's files: its own, or where the hub's copy is on this machine."""
    source = resolve_model(cfg)
    if source.folder is not None:
        return source.folder
    from huggingface_hub import snapshot_download

    try:
        wanted = ["*.json", "*.safetensors"]
        return Path(snapshot_download(source.location, revision=source.revision, allow_patterns=wanted))
    except Exception as error:
        raise _not_loadable(source, error) from error


def model_json(source: ModelSource, name: str) -> dict[str, Any]:
    """A JSON file of the model's folder or repository; `{}` where it has none."""
    if source.folder is not None:
        path = source.folder / name
    else:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        try:
            path = Path(hf_hub_download(source.location, name, revision=source.revision))
        except EntryNotFoundError:
            return {}
        except Exception as error:
            raise _not_loadable(source, error) from error
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except ValueError as error:
        raise ConfigError(f"model.path: {path} is not JSON: {error}") from error


def load_prompt_tokenizer(cfg: ModelConfig) -> PromptTokenizer:
    """The model's tokenizer bound to `model.prompt_format`."""
    from transformers import AutoTokenizer

    source = resolve_model(cfg)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.location, revision=source.revision, trust_remote_code=bool(cfg.trust_remote_code)
        )
    except Exception as error:
        raise _not_loadable(source, error) from error
    return PromptTokenizer(tokenizer, "chat" if cfg.prompt_format == "chat" else "plain", cfg.chat_template)


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
    `dtype` is a name of `model.dtype`; "auto" is bfloat16 on a GPU that has it, else float32.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    source = resolve_model(cfg) if folder is None else ModelSource(str(_model_folder(folder, str(folder))), None)
    extra: dict[str, Any] = {} if attention == "auto" else {"attn_implementation": attention}
    if quantization == "4bit":
        extra |= {"quantization_config": _four_bit(device), "device_map": {"": device}}
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
        raise _not_loadable(source, error) from error
    finally:
        if quiet:
            logging.enable_progress_bar()
    return (model if quantization == "4bit" else model.to(device)).eval()


def pick_device(name: str) -> str:
    """The device of `engine.device`: "auto" is the first GPU, else the CPU. `ConfigError` if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"engine.device: {name!r} is no device (allowed: auto, cpu, cuda, cuda:0, mps)") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }.get(device.type, True)
    if not there:
        raise ConfigError(f"engine.device: {name}, but this machine has no such device (auto picks what there is)")
    return str(device)


def torch_dtype(name: str, device: str) -> Any:
    """The torch dtype of a `dtype` knob on a device."""
    import torch

    if name != "auto":
        return getattr(torch, name)
    return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float32


def _model_folder(folder: Path, asked: str) -> Path:
    if not folder.is_dir():
        raise ConfigError(f"model.path: no such model folder: {folder}")
    if not (folder / "config.json").exists():
        hint = "; it is an adapter, not a model" if (folder / "adapter_config.json").exists() else ""
        raise ConfigError(f"model.path: {asked} is not a model folder: it has no config.json{hint}")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"model.path: {asked} has no *.safetensors weights (pickled weights are not loaded)")
    return folder


def _resolve_commit(name: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi, try_to_load_from_cache

    # What is on this machine wins: a finished run stays a hit, and works offline.
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(found, str):
        commit = Path(found).parts[-2]
        if _COMMIT.fullmatch(commit):
            return commit
    try:
        return str(HfApi().model_info(name, revision=revision, timeout=20).sha)
    except Exception as error:
        raise _not_loadable(ModelSource(name, revision), error) from error


def _not_loadable(source: ModelSource, error: Exception) -> ConfigError:
    """One line that says what to do, from the many errors of the hub and of transformers."""
    kind = type(error).__name__
    if isinstance(error, ConfigError):
        return error
    reasons = {
        "RepositoryNotFoundError": "no such model on the hub (or it is private: set HF_TOKEN)",
        "GatedRepoError": "gated on the hub: accept its licence there and set HF_TOKEN",
        "RevisionNotFoundError": f"the hub has no revision {source.revision}",
        "HFValidationError": "not a hub id",
        "OfflineModeIsEnabled": "not on this machine, and the hub is switched off (HF_HUB_OFFLINE)",
    }
    network = (
        "ConnectionError",
        "ConnectError",
        "ConnectTimeout",
        "ReadTimeout",
        "ProxyError",
        "LocalEntryNotFoundError",
    )
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), kind)
    reason = reasons.get(kind) or ("the hub cannot be reached" if kind in network else f"{kind}: {first[:200]}")
    return ConfigError(f"model.path: cannot load {source.location}: {reason}")


def _template_text(name: str | None) -> str:
    if name is None:
        return ""
    from selfguide.prompts.tokenization import _read_template

    return _read_template(name)


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in [*(folder / name for name in _SMALL_FILES), *sorted(folder.glob("*.safetensors"))]:
        if path.exists():
            digest.update(f"{path.name}\x1f{file_hash(path)}\x1e".encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, remembered for large ones by size and modification time."""
    status = path.stat()
    if status.st_size < 1 << 20:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    known = (
        HASH_CACHE
        / hashlib.sha256(f"{path.resolve()}\x1f{status.st_size}\x1f{status.st_mtime_ns}".encode()).hexdigest()[:32]
    )
    if known.exists() and len(remembered := known.read_text()) == 64:
        return remembered
    with path.open("rb") as file:
        value = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        temporary = known.with_name(f"{known.name}.{os.getpid()}")
        temporary.write_text(value)
        temporary.replace(known)
    except OSError:
        pass  # a read-only home costs time only
    return value


def _four_bit(device: str) -> Any:
    import importlib.util

    if not device.startswith("cuda"):
        raise ConfigError("finetuning.quantization: 4bit needs a CUDA device (allowed here: none)")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError("finetuning.quantization: 4bit needs the package bitsandbytes")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )

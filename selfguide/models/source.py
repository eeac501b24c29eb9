"""Which language model `model.path` means, and what identifies its content. Reads small files only, never torch."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.config.serving import ModelConfig
from selfguide.core.errors import ConfigError
from selfguide.core.files import canonical_json
from selfguide.core.hashing import file_hash
from selfguide.core.paths import RESOURCES, expanded
from selfguide.prompts.tokenization import template_file
from selfguide.tasks.provenance import FILE as PROVENANCE
from selfguide.tasks.provenance import Provenance

MICRO = RESOURCES / "micro" / "model"
UNSTATED = 10**9
"""Tokens of a context that the server alone knows."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_NETWORK = (
    "ConnectionError",
    "ConnectError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "LocalEntryNotFoundError",
)
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
_RENDERING = 2
"""Version of what `selfguide.prompts.tokenization` makes of chat turns."""
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
        return ModelSource(str(model_folder(MICRO, path)), None)
    folder = expanded(path, "model.path")
    if folder.exists():
        return ModelSource(str(model_folder(folder.resolve(), path)), None)
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
    if cfg.prompt_format == "turns":
        return f"served:{cfg.path}"
    source = resolve_model(cfg)
    if source.folder is None:
        base, templates = f"{source.location}@{source.revision}", []
    else:
        base = _folder_hash(source.folder)
        templates = [source.folder / name for name in _TEMPLATES] if cfg.prompt_format == "chat" else []
    template = "" if cfg.chat_template is None else template_file(cfg.chat_template).read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{cfg.prompt_format}\x1f{template}".encode())
    if cfg.prompt_format == "chat":
        digest.update(f"{_RENDERING}\x1f{canonical_json(cfg.template_options)}".encode())
    for path in templates:
        digest.update(path.read_bytes() if path.exists() else b"")
    return f"{base}+{cfg.prompt_format}-{digest.hexdigest()[:12]}"


def context_length(cfg: ModelConfig) -> int:
    """Tokens (prompt and completion together) that the model takes: its own limit, or a smaller one asked for."""
    if cfg.prompt_format == "turns":
        return cfg.context_length or UNSTATED
    raw = model_json(resolve_model(cfg), "config.json")
    text = raw.get("text_config") or raw
    limit = next((text[key] for key in ("max_position_embeddings", "n_positions", "seq_length") if text.get(key)), None)
    if cfg.context_length is None:
        if limit is None:
            raise ConfigError(f"model.context_length: {cfg.path} does not state its context length; set it")
        return int(limit)
    if limit is not None and cfg.context_length > limit:
        raise ConfigError(
            f"model.context_length: {cfg.context_length} is more than the {limit} tokens {cfg.path} takes"
        )
    return int(cfg.context_length)


def check_text_only(source: ModelSource) -> None:
    """Raise `ConfigError` for a model that also takes images or sound: adapters would be put on all its parts."""
    raw = model_json(source, "config.json")
    if parts := sorted(name for name in ("vision_config", "audio_config") if raw.get(name)):
        kind = (raw.get("architectures") or [raw.get("model_type", "a model")])[0]
        raise ConfigError(
            f"model.path: {source.location} is a multimodal {kind} ({', '.join(parts)} in its config.json): neither "
            "finetuned nor run by engine=hf; allowed: a model of text alone (or engine=vllm with finetuning=none)"
        )


def stop_ids(source: ModelSource) -> list[int]:
    """The tokens that end an answer by the model's generation config."""
    listed = model_json(source, "generation_config.json").get("eos_token_id")
    return listed if isinstance(listed, list) else [] if listed is None else [listed]


def model_provenance(cfg: ModelConfig) -> Provenance:
    """Which gold the model was trained on, if it says so: what a run exported does. Raises `ConfigError`, `DataError`.

    Of a model of the hub the file counts that is on this machine or can be fetched.
    """
    if cfg.prompt_format == "turns":
        return Provenance()
    source = resolve_model(cfg)
    try:
        content = model_json(source, PROVENANCE)
    except ConfigError:
        if source.folder is not None:
            raise
        return Provenance()
    return Provenance.from_json(content, f"model.path: {source.location}/{PROVENANCE}") if content else Provenance()


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
        raise not_loadable(source, error) from error


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
            raise not_loadable(source, error) from error
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except ValueError as error:
        raise ConfigError(f"model.path: {path} is not JSON: {error}") from error


def model_folder(folder: Path, path: str) -> Path:
    """The folder, once it holds a model's files; `path` is what the user wrote. Raises `ConfigError`."""
    if not folder.is_dir():
        raise ConfigError(f"model.path: no such model folder: {folder}")
    if not (folder / "config.json").exists():
        hint = "; it is an adapter, not a model" if (folder / "adapter_config.json").exists() else ""
        raise ConfigError(f"model.path: {path} is not a model folder: it has no config.json{hint}")
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model.path: {path} has no *.safetensors weights (pickled ones are not loaded: "
            f"selfguide convert {path} FOLDER makes a copy with safetensors)"
        )
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
        raise not_loadable(ModelSource(name, revision), error) from error


def not_loadable(source: ModelSource, error: Exception) -> ConfigError:
    """One line that says what to do, from the many errors of the hub and of transformers, which wraps the hub's."""
    if isinstance(error, ConfigError):
        return error
    reasons = {
        "GatedRepoError": "gated on the hub: accept its licence there and set HF_TOKEN",
        "RepositoryNotFoundError": "no such model on the hub (or it is private: set HF_TOKEN)",
        "RevisionNotFoundError": f"the hub has no revision {source.revision}",
        "HFValidationError": "not a hub id",
        "OfflineModeIsEnabled": "not on this machine, and the hub is switched off (HF_HUB_OFFLINE)",
        **dict.fromkeys(_NETWORK, "the hub cannot be reached"),
    }
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    reason = f"{type(error).__name__}: {first[:200]}"
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in reasons:
            reason = reasons[type(cause).__name__]
            break
        if getattr(getattr(cause, "response", None), "status_code", None) == 401:
            reason = "the hub does not take the token of HF_TOKEN"
            break
        cause = cause.__cause__ or cause.__context__
    return ConfigError(f"model.path: cannot load {source.location}: {reason}")


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in [*(folder / name for name in _SMALL_FILES), *sorted(folder.glob("*.safetensors"))]:
        if path.exists():
            digest.update(f"{path.name}\x1f{file_hash(path)}\x1e".encode())
    return f"sha256:{digest.hexdigest()[:16]}"

"""Naming finetuned weights by their content."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import TrainingError
from selfguide.core.hashing import file_hash
from selfguide.models.base import Weights

# What changes the function computed from the same tensors. Not the path of the base model.
_ADAPTER_FIELDS = ("r", "lora_alpha", "target_modules", "use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern")


def weights_of(folder: Path, config: FinetuningConfig, released: Mapping[str, str] | None = None) -> Weights:
    """The weights in an epoch's folder, named by a hash of their bytes (16 hex digits).

    `released` has the SHA-256 of files of the training that were deleted to free the disk: the name is the same.
    Raises `TrainingError` if the folder holds no finished weights.
    """
    hashes = {
        Path(name).name: sha256 for name, sha256 in (released or {}).items() if (folder.parent / name).parent == folder
    }
    hashes = hashes or {file.name: file_hash(file) for file in folder.glob("*.safetensors")}
    if not hashes:
        raise TrainingError(f"{folder} holds no finetuned weights")
    digest = hashlib.sha256()
    for name in sorted(hashes):
        digest.update(f"{name}\x1f{hashes[name]}\x1e".encode())
    lora = config.kind == "lora"
    settings = json.loads((folder / ("adapter_config.json" if lora else "config.json")).read_text(encoding="utf-8"))
    if lora:
        settings = {name: settings.get(name) for name in _ADAPTER_FIELDS}
        digest.update(json.dumps(settings, sort_keys=True).encode())
    return Weights(digest.hexdigest()[:16], folder, "lora" if lora else "full", int(settings["r"]) if lora else 0)

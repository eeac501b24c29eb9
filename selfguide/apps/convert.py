"""`selfguide convert MODEL FOLDER`: a copy of a model whose weights are pickled, with weights in safetensors.

Pickles are read by torch's loader that admits tensors alone, in a process of its own. Names, shapes, dtypes and values
stay as they are; `conversion.json` in the copy says which bytes came from which.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from selfguide.config.command import fail
from selfguide.core.child import call
from selfguide.core.errors import DataError, SelfguideError
from selfguide.core.files import sync, write_json
from selfguide.core.hashing import file_hash

PICKLED = "pytorch_model*.bin"
BESIDE = ("*.json", "*.model", "*.txt", "*.jinja")
RECORD = "conversion.json"


def main() -> None:
    """Convert, and say what to do with the copy."""
    parser = argparse.ArgumentParser(prog="selfguide convert", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder with pytorch_model*.bin, or owner/name[@revision] of the hub")
    parser.add_argument("folder", type=Path, help="where to write the copy: a new folder")
    options = parser.parse_args()
    try:
        tensors = convert(options.model, options.folder)
    except (SelfguideError, OSError) as error:
        fail(str(error))
    print(f"{options.folder}: {tensors} tensors as safetensors, hashes in {RECORD}; use it with")
    print(f"model.path={options.folder}")
    sys.stdout.flush()


def convert(model: str, target: Path) -> int:
    """Write the copy, whole or not at all; how many tensors it holds. Raises `DataError` in one line."""
    if target.exists():
        raise DataError(f"{target} is there already; allowed: a new folder")
    source, revision = _source(model)
    shards = sorted(source.glob(PICKLED))
    if any(source.glob("*.safetensors")):
        raise DataError(f"{model} has safetensors weights already: model.path={model} can use it directly")
    if not shards or not (source / "config.json").exists():
        raise DataError(f"{model} is not a model with pickled weights: it needs config.json and {PICKLED}")
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = sum(shard.stat().st_size for shard in shards), shutil.disk_usage(target.parent).free
    if needed > free:
        raise DataError(f"{target.parent} has {free / 1e9:.1f} GB left, and the copy takes {needed / 1e9:.1f} GB")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
        copy = Path(name) / "copy"
        copy.mkdir()
        places: dict[str, str] = {}
        written: dict[str, dict[str, str]] = {}
        size = 0
        for index, shard in enumerate(shards, 1):
            single = len(shards) == 1
            file = copy / ("model.safetensors" if single else f"model-{index:05}-of-{len(shards):05}.safetensors")
            names, held = call(_rewrite, shard, file)
            if twice := sorted(places.keys() & set(names)):
                raise DataError(f"{shard}: {twice[0]} is in {places[twice[0]]}, too")
            places |= dict.fromkeys(names, file.name)
            size += held
            written[file.name] = {"sha256": file_hash(file), "from": shard.name, "from_sha256": file_hash(shard)}
        if len(shards) > 1:
            index_json = {"metadata": {"total_size": size}, "weight_map": places}
            write_json(copy / "model.safetensors.index.json", index_json)
        for path in sorted({path for pattern in BESIDE for path in source.glob(pattern)}):
            if not path.name.endswith(".bin.index.json"):
                shutil.copyfile(path, copy / path.name)
        write_json(copy / RECORD, {"model": model, "revision": revision, "tensors": len(places), "files": written})
        for path in copy.iterdir():
            sync(path)
        copy.rename(target)
    return len(places)


def _source(model: str) -> tuple[Path, str | None]:
    """The folder with the model's files, and the hub's commit; None for a folder of the user's."""
    from selfguide.config.serving import ModelConfig
    from selfguide.models.source import not_loadable, resolve_model

    if Path(model).expanduser().is_dir():
        return Path(model).expanduser(), None
    found = resolve_model(ModelConfig(path=model, revision=None))
    from huggingface_hub import snapshot_download

    wanted = [PICKLED, *BESIDE, "*.safetensors"]
    try:
        return Path(snapshot_download(found.location, revision=found.revision, allow_patterns=wanted)), found.revision
    except Exception as error:
        raise not_loadable(found, error) from error


def _rewrite(shard: Path, file: Path) -> tuple[list[str], int]:
    """In a child: one file of pickled tensors as safetensors; their names and bytes."""
    import zipfile

    import torch
    from safetensors.torch import save_file

    try:
        loaded: Any = torch.load(shard, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(shard))
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"{shard} is not read: it is damaged, or holds more than tensors ({kind})") from None
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(t, torch.Tensor) for t in loaded.values()):
        raise DataError(f"{shard} is not read: it is not a table of named tensors")
    # Tensors that share memory, tied ones say, are written apart: safetensors has no other form for them.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in loaded.items()}
    save_file(tensors, file, metadata={"format": "pt"})
    return list(tensors), sum(tensor.nbytes for tensor in tensors.values())

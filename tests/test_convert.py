"""Pickled weights become safetensors; what is no table of tensors is refused, and never run."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from selfguide.apps.convert import convert
from selfguide.core.errors import DataError, SelfguideError
from selfguide.core.hashing import file_hash
from selfguide.models.loading import load_model
from tests.models.checkpoints import model_config, tiny_model


def pickled_model(folder: Path, shards: int = 1, **changes: object) -> Path:
    tiny_model(folder, **changes)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    for index in range(shards):
        part = {name: weights[name] for name in names[index::shards]}
        name = "pytorch_model.bin" if shards == 1 else f"pytorch_model-{index + 1:05}-of-{shards:05}.bin"
        torch.save(part, folder / name)
    return folder


@pytest.mark.parametrize("shards", [1, 2])
def test_the_copy_has_the_same_tensors_and_says_where_they_came_from(tmp_path: Path, shards: int) -> None:
    source = pickled_model(tmp_path / "source", shards)
    assert convert(str(source), tmp_path / "copy") == 21
    original = {k: v for path in source.glob("*.bin") for k, v in torch.load(path, weights_only=True).items()}
    model = load_model(model_config(tmp_path / "copy"), device="cpu")
    assert all(torch.equal(value, original[name]) for name, value in model.state_dict().items())
    record = json.loads((tmp_path / "copy" / "conversion.json").read_text())
    assert len(record["files"]) == shards
    for name, file in record["files"].items():
        assert file["sha256"] == file_hash(tmp_path / "copy" / name)
        assert file["from_sha256"] == file_hash(source / file["from"])
    assert (tmp_path / "copy" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_tied_tensors_and_the_old_pickle_format_are_read(tmp_path: Path) -> None:
    source = pickled_model(tmp_path / "source")
    weights = torch.load(source / "pytorch_model.bin", weights_only=True)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    torch.save(weights, source / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    convert(str(source), tmp_path / "copy")
    copied = load_file(tmp_path / "copy" / "model.safetensors")
    assert torch.equal(copied["lm_head.weight"], weights["model.embed_tokens.weight"])


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_a_pickle_that_holds_code_is_refused_unread(tmp_path: Path) -> None:
    source = pickled_model(tmp_path / "source")
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Harmful(tmp_path / "made")}))
    with pytest.raises(DataError, match=r"pytorch_model\.bin is not read: it is damaged, or holds more than tensors"):
        convert(str(source), tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["source"], "nothing was run, nothing is left"


def test_what_cannot_be_converted_is_one_line(tmp_path: Path) -> None:
    source = pickled_model(tmp_path / "source")
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="is there already; allowed: a new folder"):
        convert(str(source), tmp_path / "there")
    safe = tiny_model(tmp_path / "safe")
    with pytest.raises(DataError, match="has safetensors weights already"):
        convert(str(safe), tmp_path / "copy")
    shutil.rmtree(tmp_path / "there")
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="is not a model with pickled weights"):
        convert(str(tmp_path / "there"), tmp_path / "copy")
    with pytest.raises(SelfguideError, match="no such folder: nowhere"):
        convert("nowhere", tmp_path / "copy")


def test_the_command_ends_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selfguide.main", "convert", "nowhere", str(tmp_path / "copy")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1

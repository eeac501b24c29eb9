"""What the process that starts a training holds of devices, and its children of main memory."""

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from selfguide.config.schema import RunConfig
from selfguide.core.child import call
from selfguide.models import devices
from selfguide.models.devices import Card
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.memory import GIB
from selfguide.training.student import student_model
from selfguide.training.trainer import finetune
from tests.models.checkpoints import engine_config, tiny_model
from tests.training.configs import copy_rows, run_config


def test_the_parent_of_a_training_never_initialises_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It believes that there is a GPU, and must not touch it. The child finds that there is none."""

    def refused(*_: Any) -> None:
        raise AssertionError("CUDA is initialised in the parent")

    config = run_config(tiny_model(tmp_path / "tiny"))
    config = replace(config, engine=engine_config(device="auto"))
    tokenizer = load_prompt_tokenizer(config.model)
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "is_available", lambda: True)
        patched.setattr(torch.cuda, "device_count", lambda: 1)
        patched.setattr(torch.cuda, "_lazy_init", refused)
        patched.setattr(devices, "cards", lambda: [Card("NVIDIA H100", 80 * GIB, 79 * GIB, (9, 0))])
        with pytest.raises(AssertionError, match="in the parent"):
            torch.zeros(1, device="cuda")
        result = finetune(config, tokenizer, copy_rows(tokenizer, 8), tmp_path / "work", 0)
    devices.has_bfloat16.cache_clear()
    assert len(result.losses) == 2


def test_ranks_share_the_weights_that_they_read(tmp_path: Path) -> None:
    """Each maps the file: what is read from disk is there for all of them, and stands in main memory once."""
    shape = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 8}
    tiny_model(tmp_path / "model", **shape, num_key_value_heads=8)
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    call(read_weights, run_config(tmp_path / "model"), tmp_path, processes=2)
    one, two = (json.loads((tmp_path / f"rank-{rank}").read_text()) for rank in (0, 1))
    assert one["weights"] == two["weights"]
    assert size > 64 * 2**20
    assert max(one["own"], two["own"]) < size / 4


def read_weights(config: RunConfig, folder: Path) -> None:
    """In each process: a digest of the base's weights, and the bytes of main memory that are its own for them."""
    before = private_memory()
    model = student_model(config, "cpu")
    frozen = [weights for name, weights in model.state_dict().items() if "lora" not in name]
    digest = hashlib.sha256(b"".join(hashlib.sha256(weights.numpy()).digest() for weights in frozen)).hexdigest()
    said = {"weights": digest, "own": private_memory() - before}
    (folder / f"rank-{os.environ['RANK']}").write_text(json.dumps(said))


def private_memory() -> int:
    """Bytes that no file stands behind."""
    [kib] = re.findall(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(kib) * 1024

"""The main job on every architecture: chat and plain prompts, adapters and all weights, to a checked score."""

import io
import json
import logging
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.pipeline import run
from tests.architectures.families import CONTEXT, FAMILIES, tiny_family
from tests.architectures.test_vllm_families import MERGED
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

ON_VLLM = (("llama", "full"), ("gemma3", "lora"), ("gpt2", "lora"))
"""Each way in which vLLM takes finetuned weights: whole, as an adapter, and merged where it serves no adapters."""
WAYS = (("chat", "lora"), ("chat", "full"), ("plain", "full"), ("plain", "lora"))
"""Prompt format and kind of weights."""


def finished(name: str, folder: Path, *more: str) -> None:
    """The control of the paper's method, which trains on the demonstrations alone, ends ok on a green canary."""
    checkpoint = tiny_family(name, folder / "model")
    model = (f"model.path={checkpoint}", f"model.name={name}", f"model.context_length={CONTEXT}")
    small = ("evaluation.limit=4", "evaluation.max_new_tokens=6", "evaluation.bootstrap=100")
    overrides = smoke(write_task(folder), folder / "store", "method=few_shot_finetune", "model=local", *model, *small)
    run(run_config(*overrides, *more), folder / "run", Terminal(Console(file=io.StringIO())))
    result = json.loads((folder / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["status"] == "ok"
    [verdict] = result["canary"].values()
    assert verdict["engine_to_trainer"] < 0.01 and verdict["batch_to_alone"] < 0.01


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    whole = metafunc.config.getoption("--matrix") == "full"
    if "way" in metafunc.fixturenames:
        # Each family in one way, and each way with a quarter of them.
        runs = [(name, way) for i, name in enumerate(FAMILIES) for way in (WAYS if whole else WAYS[i % 4 :: 4])]
        metafunc.parametrize(("name", "way"), runs, ids=["-".join((name, *way)) for name, way in runs])
    elif "kind" in metafunc.fixturenames:
        metafunc.parametrize(("name", "kind"), list(product(FAMILIES, ("lora", "full"))) if whole else ON_VLLM)


@pytest.mark.slow
def test_engine_hf(name: str, way: tuple[str, str], tmp_path: Path) -> None:
    prompt_format, kind = way
    finished(name, tmp_path, f"model.prompt_format={prompt_format}", f"finetuning={kind}")


@pytest.mark.slow
@pytest.mark.vllm
def test_engine_vllm(name: str, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "selfguide"):
        finished(name, tmp_path, "engine=vllm", f"finetuning={kind}")
    merged = any("is merged into a copy of the weights" in record.getMessage() for record in caplog.records)
    assert merged == (kind == "lora" and name in MERGED)

"""engine=vllm on every architecture that its CPU build serves: base and adapters answer as with transformers."""

import logging
from pathlib import Path

import pytest

from selfguide.models.base import ScoreRequest
from selfguide.models.hf import HFEngine
from selfguide.models.vllm import VLLMEngine
from tests.architectures.families import FAMILIES, tiny_family
from tests.models.checkpoints import engine_config, model_config, tiny_adapter
from tests.models.vllm_runs import vllm_config

CONTEXT = 300
MERGED = {"bloom", "falcon", "gpt2", "gpt_oss", "qwen3_moe"}
"""Families whose adapters vLLM does not serve on a CPU."""
COVER = ("gpt_neox", "gpt_oss")
"""Of transformers' own implementation run by vLLM, and merged; `test_main_job` has vLLM's own."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", FAMILIES if metafunc.config.getoption("--matrix") == "full" else COVER)


@pytest.mark.slow
@pytest.mark.vllm
def test_base_and_adapter_score_as_with_transformers(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tiny_family(name, tmp_path / "model")
    adapter = tiny_adapter(checkpoint, tmp_path / "adapter", 1)
    settings = (f"model.path={checkpoint}", "model.prompt_format=plain", f"model.context_length={CONTEXT}")
    prompts = [tuple(range(10, 10 + size)) for size in (120, 130)]
    asked = [ScoreRequest(prompt, (20, 30, 40), weights) for weights in (None, adapter) for prompt in prompts]
    with (
        caplog.at_level(logging.WARNING, "selfguide"),
        VLLMEngine.from_config(vllm_config("model=local", *settings)) as engine,
    ):
        ours = engine.score(asked)
    # Second: transformers works as before where vLLM has run its classes.
    with HFEngine(model_config(checkpoint, context_length=CONTEXT), engine_config()) as engine:
        theirs = engine.score(asked)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(expected, abs=5e-3)
    said = [record.message for record in caplog.records if "serves no adapters" in record.message]
    assert len(said) == (name in MERGED)

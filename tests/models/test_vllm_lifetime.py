"""engine=vllm in a process of its own: it gives everything back, and the process that asks it touches no device."""

import psutil
import pytest
import torch

from selfguide.models.base import Request, Sampling
from selfguide.models.vllm import VLLMEngine
from tests.models.vllm_runs import vllm_config


def held() -> int:
    """Bytes of this process's children. The server that forks trainings stays: it holds no model."""
    children = psutil.Process().children(recursive=True)
    commands = [(child, child.as_dict(["cmdline"])["cmdline"] or ()) for child in children]
    return sum(child.memory_info().rss for child, words in commands if "selfguide.core.child_server" not in words)


@pytest.mark.slow  # another start of vLLM
@pytest.mark.vllm
def test_a_closed_engine_gives_all_its_memory_back_and_cuda_is_never_initialised_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("CUDA is initialised in the parent")

    # As if there were a GPU, which only this process believes.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "_lazy_init", refused)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # which the engine changes
    before = held()
    engine = VLLMEngine.from_config(vllm_config("engine.lifetime=restart", "model.context_length=300"))
    try:
        [[completion]] = engine.generate([Request((5, 6, 7, 8), Sampling(4))])
        running = held() - before
    finally:
        engine.close()
    assert len(completion.token_ids) > 0
    assert running > 500 << 20, "the engine has a process of its own"
    assert held() - before < 60 << 20, "nothing of it is left but a helper of multiprocessing"

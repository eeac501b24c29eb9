"""engine=vllm in a process of its own: it gives everything back, and the process that asks it touches no device."""

import subprocess
import sys

import pytest

SCRIPT = """
import psutil
import torch
from selfguide.models.base import Request, Sampling
from selfguide.models.vllm import VLLMEngine
from tests.models.vllm_runs import vllm_config

def held():
    # The server that forks trainings stays: it holds no model.
    children = psutil.Process().children(recursive=True)
    ours = (c for c in children if "selfguide.core.child_server" not in (c.as_dict(["cmdline"])["cmdline"] or ()))
    return sum(child.memory_info().rss for child in ours)

def refused(*_):
    raise AssertionError("CUDA is initialised in the parent")

if __name__ == "__main__":
    # As if there were a GPU, which only this process believes.
    torch.cuda.is_available, torch.cuda.device_count, torch.cuda._lazy_init = lambda: True, lambda: 1, refused
    engine = VLLMEngine.from_config(vllm_config("engine.lifetime=restart", "model.context_length=300"))
    first = engine.generate([Request((5, 6, 7, 8), Sampling(4))])
    running = held()
    engine.close()
    print("RESULT", running >> 20, held() >> 20, len(first[0][0].token_ids))
"""


@pytest.mark.slow  # another start of vLLM
@pytest.mark.vllm
def test_a_closed_engine_gives_all_its_memory_back_and_cuda_is_never_initialised_here() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line is not None, done.stderr[-2000:]
    running, left, generated = map(int, line.split()[1:])
    assert generated > 0
    assert running > 500, "the engine has a process of its own"
    assert left < 60, "nothing of it is left but a helper of multiprocessing"

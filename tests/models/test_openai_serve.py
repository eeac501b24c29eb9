"""engine=openai against a real `vllm serve` of the bundled model, with adapters loaded while it runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from selfguide.models.base import Engine, Request, Sampling, Weights
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.openai import OpenAIEngine
from selfguide.models.source import MICRO
from selfguide.prompts.selfguide import Turn
from selfguide.prompts.tokenization import CHAT_TEMPLATES, PromptTokenizer
from selfguide.testing.engine import GREEDY, EngineContract, tokens
from tests.composing import run_config
from tests.methods.test_chat_teacher import LLM2LLM, S3, taught
from tests.models.checkpoints import model_config, tiny_adapter
from tests.models.vllm_runs import CONTEXT, prompts_of_tasks, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.slow  # another start of vLLM


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    command = [
        # What `vllm serve` runs; that command itself does not start in the CPU build.
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(MICRO),
        "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--enforce-eager", "--max-model-len", str(CONTEXT), "--enable-lora",
        "--max-lora-rank", "16", "--max-loras", "4", "--no-enable-chunked-prefill",
        "--chat-template", str(CHAT_TEMPLATES / "vicuna.jinja"),
    ]  # fmt: skip
    settings = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
    }
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=os.environ | settings, stdout=output, stderr=output, process_group=0)
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)


def worker(address: str) -> OpenAIEngine:
    return OpenAIEngine.from_config(
        run_config(
            "task=task1516", "engine=openai", f"engine.base_url={address}", f"model.context_length={CONTEXT}",
            "engine.concurrency=16", "engine.retries=1",
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def micro_adapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Weights]:
    one, two = (tiny_adapter(MICRO, tmp_path_factory.mktemp("adapter"), seed) for seed in (1, 2))
    return one, two


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self, vllm_server: str) -> Iterator[Engine]:
        with worker(vllm_server) as engine:
            yield engine

    @pytest.fixture
    def prompt_tokenizer(self) -> PromptTokenizer:
        return load_prompt_tokenizer(model_config("micro"))

    @pytest.fixture
    def adapters(self, micro_adapters: tuple[Weights, Weights]) -> tuple[Weights, Weights]:
        return micro_adapters

    held_at_least = 1

    def held(self) -> float:
        """Connections: the memory is the server's."""
        return float(sum(one.status == "ESTABLISHED" for one in psutil.Process().net_connections("tcp")))


def test_workers_share_a_server_and_its_adapters(vllm_server: str, micro_adapters: tuple[Weights, Weights]) -> None:
    """A second worker finds the adapter that the first one loaded, and both get the same answers."""
    tokenizer = load_prompt_tokenizer(model_config("micro"))
    requests = [
        Request(tokenizer.encode_prompt(p), GREEDY, weights=weights)
        for p in prompts_of_tasks()[::50]
        for weights in (None, *micro_adapters)
    ]
    with worker(vllm_server) as one, worker(vllm_server) as two:
        first, second = one.generate(requests), two.generate(requests)
    assert [tokens(c) for c in first] == [tokens(c) for c in second]
    names = {model["id"] for model in httpx.get(f"{vllm_server}/models").json()["data"]}
    assert {weights.name for weights in micro_adapters} <= names


@pytest.mark.parametrize("method", [S3, LLM2LLM], ids=["s3", "llm2llm"])
def test_a_chat_teacher_under_a_template(method: tuple[str, ...], vllm_server: str, tmp_path: Path) -> None:
    """The bundled model knows no chat, so the data is poor; every request is taken, answered and counted."""
    short = (f"teacher.model.path={MICRO}", "method.propose.draw.max_new_tokens=40")
    ran = taught(tmp_path, vllm_server, *method, *short)
    proposed = ran.rows("candidates")
    assert len(proposed) >= 8 and any(row["input"] for row in proposed)
    spent = [tokens for name, tokens in ran.result["tokens"].items() if name.startswith("proposals")]
    assert spent and all(tokens["prompt"] > 0 and tokens["generated"] > 0 for tokens in spent)


def test_turns_longer_than_the_context_are_refused_one_by_one(vllm_server: str) -> None:
    turns = ("engine.dialect=chat", "model.prompt_format=turns", "finetuning=none", f"model.path={MICRO}")
    server = OpenAIEngine.from_config(
        run_config("task=task1516", "engine=openai", f"engine.base_url={vllm_server}", *turns)
    )
    lengths = (5, 40, 2000)
    asked = [Request((), Sampling(299), turns=(Turn("user", "red " * length),)) for length in lengths]
    with server:
        answers = server.generate(asked)
    assert [len(each) for each in answers] == [1, 1, 0]
    assert server.tokens.calls == 2

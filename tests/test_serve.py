"""`selfguide serve`: the words for vLLM's server, and how to ask it; the server itself is vLLM's."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from selfguide.analysis.folder import RunFolder
from selfguide.apps.serve import example_call, server_command
from selfguide.config.commands import ServeConfig
from selfguide.core.errors import DataError
from selfguide.prompts.selfguide import answer_prompt
from tests import cli
from tests.analysis.folders import write_run
from tests.export.runs import run_with_adapter


def options(**changes: Any) -> ServeConfig:
    given = {"run": "", "host": "127.0.0.1", "port": 8001, "vllm": [], "dry_run": True, "trust_remote_code": False}
    return ServeConfig(**{**given, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder.open(run_with_adapter(tmp_path_factory.mktemp("serve")))


def value(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_base_and_adapter_are_served_by_name(run: RunFolder) -> None:
    words = server_command(run, options(vllm=["--max-model-len", "64"]))
    assert words[:2] == ["vllm", "serve"] and Path(words[2]) == Path(run.config.model.path)
    assert (value(words, "--served-model-name"), value(words, "--port")) == ("base", "8001")
    assert value(words, "--lora-modules") == f"task_a={run.path / 'adapter'}"
    assert value(words, "--max-lora-rank") == "8"  # the next that vLLM knows from rank 4 on
    assert words[-2:] == ["--max-model-len", "64"] and "--trust-remote-code" not in words


def test_the_example_asks_what_the_run_asked(run: RunFolder) -> None:
    words = shlex.split(example_call(run, options()))
    assert words[:2] == ["curl", "http://127.0.0.1:8001/v1/completions"]
    asked = json.loads(words[-1])
    prompt = answer_prompt(run.task, run.task.demonstrations[0].input)
    assert (asked["prompt"], asked["stop"]) == (prompt.plain(), list(prompt.stop))
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == (
        "task_a",
        0,
        run.config.evaluation.max_new_tokens,
    )


def test_the_command_prints_both(run: RunFolder, tmp_path: Path) -> None:
    said = cli.run("selfguide.main", "serve", str(run.path), "dry_run=true", cwd=tmp_path).stdout
    assert said.startswith("vllm serve ") and "\ncurl http://127.0.0.1:8000/v1/completions" in said
    assert not list(tmp_path.iterdir())
    bare = RunFolder.open(write_run(tmp_path / "run", "method=few_shot_icl", proposals=0, instances=10))
    with pytest.raises(DataError, match="no finetuned weights"):
        server_command(bare, options())

"""What a card shows runs as it stands: pasted into a process that knows nothing of this project."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import selfguide
from selfguide.apps.result import Result
from selfguide.models.source import weights_folder
from tests.export.runs import run_with_adapter
from tests.models.vllm_runs import wait_for
from tests.ports import free_port
from tests.tiny_task import smoke, write_task


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("pasting")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        few = ["evaluation.controls=false", "evaluation.limit=4", "model.dtype=float32"]
        made = selfguide.run(overrides=smoke(write_task(folder), folder / "store", *few)[1:], task="json")
        selfguide.export(made, folder / "out")
        selfguide.export(made, folder / "merged", ["weights=merged", "dataset=false"])
        return Result(made.folder.absolute())


def blocks(card: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", card.read_text(), re.MULTILINE | re.DOTALL)


def pasted(folder: Path) -> str:
    (code,) = blocks(folder / "README.md", "python")
    assert "selfguide" not in code
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["out/adapter", "merged/model"])
def test_the_weights_answer_as_in_the_run(kind: str, result: Result, tmp_path: Path) -> None:
    folder = result.folder.parents[2] / kind
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    with result.model() as model:
        (expected,) = model.predict([result.run.task.demonstrations[0].input])
        assert (moved / "prompt.txt").read_text().replace("{input}", "x y") == model.prompt("x y").plain()
    assert pasted(moved) == expected.strip()


def test_the_data_set_loads(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(result.folder.parents[2] / "out" / "dataset", tmp_path / "elsewhere")
    (code,) = blocks(folder / "README.md", "python")
    monkeypatch.chdir(folder)
    names: dict[str, list[dict[str, str]]] = {}
    exec(code, names)
    assert [row["output"] for row in names["pairs"]] == result.dataset["output"]
    assert len(names["candidates"]) == len(result.candidates)


def test_a_placeholder_is_no_text_of_the_task(tmp_path: Path) -> None:
    run = Result(run_with_adapter(tmp_path, classification=False, texts=["{input} and {{input}}"]))
    made = selfguide.export(run, tmp_path / "out", ["dataset=false"])
    text = (made["model"] / "prompt.txt").read_text()
    assert text.count("{{{input}}}") == 1 and text.endswith("Input: {{{input}}}\nOutput:")


@pytest.mark.slow
@pytest.mark.vllm
def test_the_server_of_the_card_starts(result: Result, tmp_path: Path) -> None:
    """vLLM with the words of the card, in the exported folder."""
    folder = result.folder.parents[2] / "out" / "adapter"
    (line,) = blocks(folder / "README.md", "bash")
    words = shlex.split(line)
    assert words[:2] == ["vllm", "serve"]
    # What the program `vllm` starts; vLLM's build for CPUs has that program without the metadata that it looks up.
    server = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model"]
    port, log = free_port(), tmp_path / "log"
    more = ["--port", str(port), "--host", "127.0.0.1", "--max-model-len", "256", "--enforce-eager"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*server, *words[2:], *more], cwd=folder, stdout=output, stderr=output,
            env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"},
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        said = httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=60).text
        assert '"id":"color"' in said.replace(" ", "")
    finally:
        process.terminate()
        process.wait(60)
    assert weights_folder(result.run.config.model).is_dir()

"""`kill -9` at any moment, run again: what was finished is found, and the data set is the same to the byte."""

import atexit
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.config.command import Interrupted, _interrupt
from selfguide.core.console import Terminal
from selfguide.models.base import Completion, Progress, Request
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.pipeline import run
from selfguide.testing.scripted import Answer, ScriptedEngine
from tests import cli
from tests.composing import run_config
from tests.tiny_task import colors, smoke, write_task

ROOT = Path(__file__).resolve().parents[1]
# Loaded once, before any fork.
TOKENIZER = load_prompt_tokenizer(run_config("task=sni", "task.id=task1").model)
FILES = ("dataset.jsonl", "candidates.jsonl", "predictions.jsonl")


class DyingEngine(ScriptedEngine):
    """Kills its own process, uncatchably, before the call with this number."""

    def __init__(self, calls: int | None, answer: Answer = colors) -> None:
        super().__init__(TOKENIZER.decode, answer)
        self.calls = calls

    def generate(self, requests: list[Request], progress: Progress | None = None) -> list[list[Completion]]:  # type: ignore[override]
        if self.calls is not None:
            if self.calls == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls -= 1
        return super().generate(requests, progress)


def _run(overrides: list[str], folder: Path, calls: int | None, answer: Answer = colors) -> None:
    run(run_config(*overrides), folder, Terminal(Console(file=io.StringIO())), DyingEngine(calls, answer))


def in_child(overrides: list[str], folder: Path, calls: int | None, answer: Answer = colors) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=_run, args=(overrides, folder, calls, answer))
    child.start()
    child.join(400)
    return child.exitcode


def small(folder: Path, store: str) -> list[str]:
    """A run without training, of a dozen model calls."""
    sizes = ("generation.rounds=4", "generation.target=null", "annotation.batch=8", "evaluation.batch=6")
    return smoke(write_task(folder), folder / store, "finetuning=none", *sizes)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of `small` when nobody kills it. In this process: what it imports is there for the forks."""
    folder = tmp_path_factory.mktemp("whole")
    _run(small(folder, "store"), folder / "run", None)
    found = {name: (folder / "run" / name).read_bytes() for name in FILES}
    assert found["dataset.jsonl"].count(b"\n") > 10
    return found


def test_killed_again_and_again_the_bytes_are_the_same(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """One store, killed after every single call that got through."""
    killed = 0
    while in_child(small(tmp_path, "store"), tmp_path / "run", 1) != 0:
        killed += 1
        assert killed < 100
    assert killed >= 10
    assert {name: (tmp_path / "run" / name).read_bytes() for name in FILES} == expected


@pytest.mark.slow
def test_killed_before_any_model_call_the_bytes_are_the_same(tmp_path: Path, expected: dict[str, bytes]) -> None:
    def overrides(store: str) -> list[str]:
        return small(tmp_path, store)

    killed = 0
    for calls in range(100):
        store, folder = f"store-{calls}", tmp_path / f"run-{calls}"
        if in_child(overrides(store), folder, calls) == 0:
            break
        killed += 1
        assert not (folder / "result.json").exists()
        assert in_child(overrides(store), folder, None) == 0
        assert {name: (folder / name).read_bytes() for name in FILES} == expected
    assert killed >= 10


def _journals(store: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in store.glob("*/*/journal.jsonl"))


def _trained(store: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in store.glob("training/*.partial/losses.jsonl"))


def moments(store: Path) -> Iterator[tuple[str, object]]:
    """Conditions on the store, in the order a run meets them; the run is killed when one is met."""
    yield "in generation", lambda: any(store.glob("inputs/*.partial/journal.jsonl"))
    yield "in annotation", lambda: any(store.glob("outputs/*.partial/journal.jsonl"))
    yield "in training", lambda: _trained(store) >= 2
    yield "in evaluation", lambda: len(list(store.glob("training/*/manifest.json"))) == 2


@pytest.mark.slow
def test_the_real_job_killed_in_every_stage(tmp_path: Path) -> None:
    task = write_task(tmp_path)

    def words(store: str, name: str) -> list[str]:
        overrides = smoke(task, tmp_path / store, f"hydra.run.dir={tmp_path / name}", "finetuning.save_every_s=0.2")
        return ["selfguide.main", *overrides]

    # In a fresh interpreter, which has an order of sets of its own.
    whole = subprocess.run(
        [sys.executable, "-m", *words("whole", "run-whole")], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    stream = random.Random(0)
    killed = words("killed", "run-killed")
    for name, met in moments(tmp_path / "killed"):
        process = cli.start(*killed, cwd=tmp_path)
        deadline = time.monotonic() + 240
        while process.poll() is None and not met() and time.monotonic() < deadline:  # type: ignore[operator]
            time.sleep(0.01)
        time.sleep(stream.random() * 0.2)
        assert time.monotonic() < deadline, f"never {name}"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    last = cli.run(*killed, cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    for name in FILES:
        assert (tmp_path / "run-killed" / name).read_bytes() == (tmp_path / "run-whole" / name).read_bytes(), name
    adapter = "adapter/adapter_model.safetensors"
    assert (tmp_path / "run-killed" / adapter).read_bytes() == (tmp_path / "run-whole" / adapter).read_bytes()


def test_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    overrides = smoke(task, tmp_path / "store", f"hydra.run.dir={tmp_path / 'run'}")
    process = cli.start("selfguide.main", *overrides, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not any((tmp_path / "store").glob("*/*.partial/spec.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=400)
    assert process.returncode == 130, said
    assert "Continue with: python -m selfguide.main task=json" in said
    assert "Traceback" not in said


def test_a_signal_within_a_lock_of_a_fork_is_not_lost() -> None:
    scope: dict[str, Any] = {"__name__": "logging", "sys": sys}
    exec("def _releaseLock():\n    return sys._getframe()", scope)
    before = signal.getsignal(signal.SIGALRM)
    try:
        _interrupt(signal.SIGINT, scope["_releaseLock"]())
        with pytest.raises(Interrupted):
            time.sleep(5)
    finally:
        signal.signal(signal.SIGALRM, before)


def signalled_at_the_very_end() -> None:
    atexit.register(os.kill, os.getpid(), signal.SIGTERM)


def test_a_signal_while_the_interpreter_ends_is_no_traceback(tmp_path: Path) -> None:
    done = cli.run("selfguide.main", "task=190", cwd=tmp_path, before=signalled_at_the_very_end)
    assert done.returncode == -signal.SIGTERM
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_two_runs_at_once_on_one_store(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    overrides = smoke(task, tmp_path / "store", "finetuning=none")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_run, args=(overrides, tmp_path / f"run-{n}", None)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(400)
        assert child.exitcode == 0
    datasets = {(tmp_path / f"run-{n}" / "dataset.jsonl").read_bytes() for n in range(3)}
    assert len(datasets) == 1
    caches = [json.loads((tmp_path / f"run-{n}" / "result.json").read_text())["cache"]["inputs"] for n in range(3)]
    assert sorted(caches) == ["hit", "hit", "miss"]

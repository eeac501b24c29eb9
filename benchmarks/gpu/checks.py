"""The steps of `make gpu-check`. Each reports what passed and what failed, with the figures seen."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gpu.models import checkpoint
from benchmarks.speed.schedules import composed
from selfguide.config.schema import RunConfig
from selfguide.models.base import Request, Sampling, ScoreRequest
from selfguide.models.devices import GIB, cards
from selfguide.models.memory import Shape, Training, training_memory
from selfguide.models.source import model_json, resolve_model
from selfguide.training.rows import TrainingRow

JOB = ("task=micro_color_word", "model=local", "model.prompt_format=plain", "method=few_shot_finetune")
SHORT = (
    "synthesis=smoke", "finetuning.max_epochs=2", "finetuning.epochs=2", "evaluation.split=validation",
    "evaluation.limit=32", "evaluation.max_new_tokens=16", "evaluation.epochs=all",
)  # fmt: skip
TRAININGS = ((700, "finetuning=lora"), (2000, "finetuning=lora"), (2000, "finetuning=full"))
"""Tokens of a row, and how the weights are trained."""


class Report:
    """PASS and FAIL lines, printed and appended to results.jsonl."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.failed = False

    def say(self, passed: bool, what: str, **figures: Any) -> None:
        """One line."""
        outcome = "PASS" if passed else "FAIL"
        print(f"{outcome} {what}  " + "  ".join(f"{name}={value}" for name, value in figures.items()), flush=True)
        with (self.out / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"outcome": outcome, "what": what, **figures}) + "\n")
        self.failed |= not passed

    def model(self, size: str, kind: str = "llama") -> Path:
        """A checkpoint with random weights."""
        return checkpoint(self.out / "models", size, kind)

    def job(self, name: str, *overrides: str, timeout: int = 900) -> None:
        """A main job as a user starts it; a red canary or a traceback fails it."""
        folder = self.out / "jobs" / name
        shutil.rmtree(folder, ignore_errors=True)
        places = (f"store.root={self.out / 'store'}", f"hydra.run.dir={folder}")
        began = time.perf_counter()
        done = _command("selfguide.main", *overrides, *places, timeout=timeout)
        result = folder / "result.json"
        passed = done.returncode == 0 and json.loads(result.read_text())["status"] == "ok"
        said = (done.stdout + done.stderr).strip().splitlines()
        figures = {} if passed else {"said": said[-1][:300] if said else ""}
        self.say(passed, f"main job {name}", seconds=round(time.perf_counter() - began), **figures)

    def random_job(self, name: str, model: Path, *overrides: str) -> None:
        """One on random weights: it trains on the demonstrations, so that the canary speaks."""
        self.job(name, *JOB, f"model.path={model}", f"model.name={name}", *SHORT, *overrides)


def agree(report: Report, size: str) -> None:
    """engine=hf answers and scores in a batch with a shared beginning as alone."""
    for kind, its_size, dtype in (("llama", size, "auto"), ("llama", size, "float32"), ("gemma3", "tiny", "float32")):
        _agree(report, report.model(its_size, kind), dtype)


def jobs(report: Report, size: str) -> None:
    """Main jobs on engine=hf."""
    report.job("micro-hf", "task=micro_color_word", "synthesis=smoke", "evaluation.controls=false")
    for kind in ("lora", "full"):
        report.random_job(f"{kind}-hf", report.model(size), f"finetuning={kind}")
    report.random_job("vicuna-full-hf", report.model("tiny", "vicuna"), "finetuning=full")
    report.random_job("gemma3-lora-hf", report.model("tiny", "gemma3"), "finetuning=lora")


def memory(report: Report, size: str) -> None:
    """Trainings of three kinds: the forecast, what was measured, and whether it is given back."""
    for tokens, kind in TRAININGS:
        _train(report, size, tokens, kind)


def killed(report: Report, size: str) -> None:
    """A training killed with -9 and started again has the losses of one that was not."""
    losses = []
    for name, stop in (("whole", None), ("killed", 4)):
        store, folder = report.out / f"store-{name}", report.out / "jobs" / name
        shutil.rmtree(store, ignore_errors=True)
        overrides = (
            *JOB, *SHORT, f"model.path={report.model(size)}", "finetuning=lora", "finetuning.max_epochs=6",
            "finetuning.epochs=6", "finetuning.save_every_s=1", "evaluation.limit=8", f"store.root={store}",
            f"hydra.run.dir={folder}",
        )  # fmt: skip
        if stop:
            _kill_at_step(stop, store, overrides)
        done = _command("selfguide.main", *overrides, timeout=900)
        if done.returncode:
            report.say(False, f"kill -9, {name}", said=done.stderr.strip()[-300:])
            return
        lines = next(store.glob("training/*/losses.jsonl")).read_text().splitlines()
        losses.append([round(json.loads(line)["loss"], 3) for line in lines])
    report.say(len(losses[0]) == len(losses[1]), "kill -9: every step once", steps=len(losses[1]))
    differ = sum(a != b for a, b in zip(*losses, strict=False))
    report.say(differ == 0, "kill -9: the losses of the training that was not killed", differ=differ)


def vllm(report: Report, size: str) -> None:
    """Main jobs on engine=vllm."""
    lifetimes = ("restart", "sleep", "keep") if cards() else ("keep",)
    for seed, lifetime in enumerate(lifetimes):
        for kind in ("lora", "full"):
            settings = ("engine=vllm", f"engine.lifetime={lifetime}", f"finetuning={kind}", f"seed={seed}")
            room = ("engine.memory_fraction=0.3",) if cards() and lifetime == "keep" else ()
            report.random_job(f"{kind}-vllm-{lifetime}", report.model(size), *settings, *room)


def contract(report: Report, size: str) -> None:
    """The engine's own tests, on a GPU."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/models", "tests/architectures"])
    report.say(done.returncode == 0, "tests of the engines")


def speed(report: Report, size: str) -> None:
    """`make bench` on random weights, its record beside the others of this check."""
    settings = ("--set", "model.prompt_format=plain", "generation.max_new_tokens=64", "annotation.max_new_tokens=32")
    out = report.out / "speed.json"
    folder = str(report.model(size))
    done = _command("benchmarks.speed", "--model", folder, "--runs", "1", "--out", str(out), *settings, timeout=3600)
    report.say(done.returncode == 0 and out.exists(), "bench", record=str(out))


def devices(report: Report, size: str) -> None:
    """Two GPUs and more."""
    _train(report, size, 1000, "finetuning=lora", "finetuning.processes=2")
    _train(report, size, 2000, "finetuning=full_fsdp")
    two = ("engine=vllm", "engine.tensor_parallel_size=2", "engine.lifetime=sleep")
    report.random_job("tensor-parallel", report.model(size), *two, "finetuning=lora")


def slurm(report: Report, size: str) -> None:
    """Two jobs on one queue; again, they are found finished."""
    shared = Path(os.environ["SHARED"])
    for again in ("first", "again"):
        queue = ("-m", "hydra/launcher=slurm", "hydra.launcher.timeout_min=15", f"hydra.sweep.dir={shared / again}")
        done = _command("selfguide.main", *queue, "synthesis=smoke", "seed=0,1", f"store.root={shared / 'store'}")
        report.say(done.returncode == 0, f"SLURM, {again}")


def _agree(report: Report, model: Path, dtype: str) -> None:
    import torch

    from selfguide.models.hf import HFEngine

    name, small = f"{model.name} {dtype}", model.name.endswith("tiny")
    draw = random.Random(0)

    def text(size: int) -> tuple[int, ...]:
        return tuple(draw.randrange(10, 400) for _ in range(size))

    prefix = text(300)
    prompts = [prefix + text(draw.randrange(5, 60)) for _ in range(8 if small else 32)]
    asked = [ScoreRequest(prompt, text(8)) for prompt in prompts]
    with HFEngine.from_config(_configured(model, f"model.dtype={dtype}")) as engine:
        together, alone = engine.score(asked), [engine.score([one])[0] for one in asked]
        worst = max(abs(x - y) for a, b in zip(together, alone, strict=True) for x, y in zip(a, b, strict=True))
        limit = 0.1 if dtype != "float32" and torch.cuda.is_available() else 1e-3
        report.say(worst < limit, f"a batch is scored as alone: {name}", nats=round(worst, 5), limit=limit)
        sampling = Sampling(8 if small else 128, temperature=0.7, top_k=10, n=4 if small else 20)
        requests = [Request(prompt, sampling, seed=i) for i, prompt in enumerate(prompts)]
        began = time.perf_counter()
        first = engine.generate(requests)
        rate = sum(len(c.token_ids) for one in first for c in one) / (time.perf_counter() - began)
        report.say(
            first == engine.generate(requests), f"the same seeds, the same tokens: {name}", tokens_per_s=int(rate)
        )


def _train(report: Report, size: str, tokens: int, *overrides: str) -> None:

    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.training.trainer import finetune

    tokens = min(tokens, 200) if size == "tiny" else tokens
    once = ("finetuning.max_epochs=1", "finetuning.epochs=1", "finetuning.save_every_s=100000")
    config = _configured(report.model(size), *overrides, *once)
    tokenizer, work = load_prompt_tokenizer(config.model), report.out / "training"
    draw, answer = random.Random(0), 64
    ids = [tuple(draw.randrange(10, 400) for _ in range(tokens - 1)) for _ in range(2 * config.finetuning.batch_size)]
    rows = [TrainingRow(text[:-answer], (*text[-answer:], tokenizer.end_id)) for text in ids]
    shutil.rmtree(work, ignore_errors=True)
    before = min((card.free for card in cards()), default=None)
    forecast = _forecast(config, tokens)
    began = time.perf_counter()
    with _lowest_free() as lowest:
        finetune(config, tokenizer, rows, work, 0)
    spent = time.perf_counter() - began
    after = min((card.free for card in cards()), default=None)
    shutil.rmtree(work, ignore_errors=True)
    figures = {"tokens_per_s": int(len(rows) * tokens / spent), "forecast_gib": round(forecast / GIB, 2)}
    if before is None or after is None:
        report.say(True, f"training: {size} {tokens} tokens {' '.join(overrides)}", **figures)
        return
    measured = before - lowest[0]
    figures |= {"measured_gib": round(measured / GIB, 2)}
    report.say(measured < 1.1 * forecast, f"training: {size} {tokens} tokens {' '.join(overrides)}", **figures)
    report.say(before - after < GIB, "all of its memory is given back", free_gib=round(after / GIB, 2))


def _forecast(config: RunConfig, tokens: int) -> int:
    """Bytes that the training takes by the model of `selfguide.models.memory`."""
    settings, half = config.finetuning, bool(cards())
    shape = Shape.of(model_json(resolve_model(config.model), "config.json"))
    assert shape is not None
    training = Training(
        rank=settings.rank if settings.kind == "lora" else 0,
        targets=settings.target_modules,
        width=2 if half else 4,
        four_bit=settings.quantization == "4bit",
        state=8 if settings.kind == "lora" or not half else 4,
        shared_by=settings.processes if settings.sharding == "fsdp" else 1,
    )
    rows = min(settings.micro_batch_size, settings.batch_size)
    return sum(training_memory(shape, training, rows, tokens, bool(settings.gradient_checkpointing)).values())


@contextmanager
def _lowest_free() -> Iterator[list[int]]:
    """The least memory that was free on the fullest GPU within the block, in bytes, looked at five times a second."""
    lowest, over = [min((card.free for card in cards()), default=0)], threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            lowest[0] = min([lowest[0], *(card.free for card in cards())])

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lowest
    finally:
        over.set()
        watcher.join()


def _kill_at_step(step: int, store: Path, overrides: Sequence[str]) -> None:
    command = [sys.executable, "-m", "selfguide.main", *overrides]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None:
        files = store.glob("training/*.partial/losses.jsonl")
        if sum(len(file.read_bytes().splitlines()) for file in files) >= step:
            break
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()


def _configured(model: Path, *overrides: str) -> RunConfig:
    return composed(*JOB[:3], f"model.path={model}", *overrides)


def _command(module: str, *arguments: str, timeout: int = 1800) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

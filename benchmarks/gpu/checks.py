"""The steps of `make gpu-check`. Each reports what passed and what failed, with the figures seen."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu.models import checkpoint
from benchmarks.speed.schedules import composed
from selfguide.config.schema import RunConfig
from selfguide.core import child
from selfguide.models.base import Request, Sampling, ScoreRequest
from selfguide.models.devices import cards, free_memory
from selfguide.models.memory import GIB, RUNTIME, positions_that_fit, serving_memory
from selfguide.training.fitting import choose, shape_of, training_device
from selfguide.training.rows import TrainingRow

JOB = ("task=micro_color_word", "model=local", "model.prompt_format=plain", "method=few_shot_finetune")
SHORT = (
    "synthesis=smoke", "finetuning.max_epochs=2", "finetuning.epochs=2", "evaluation.split=validation",
    "evaluation.limit=32", "evaluation.max_new_tokens=16", "evaluation.epochs=all",
)  # fmt: skip
TRAININGS = ((700, "finetuning=lora"), (2000, "finetuning=lora"), (2000, "finetuning=full"))
"""Tokens of a row, and how the weights are trained."""


def started(*arguments: str) -> Any:
    """`python -m arguments…`, running; its output is read at the end."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Report:
    """PASS and FAIL lines, printed and appended to results.jsonl. `start` starts the commands that are checked."""

    def __init__(self, out: Path, start: Callable[..., Any] = started) -> None:
        self.out, self.start = out, start
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
        status, said = self.command("selfguide.main", *overrides, *places, timeout=timeout)
        passed = status == 0 and json.loads((folder / "result.json").read_text())["status"] == "ok"
        figures = {} if passed else {"said": said}
        self.say(passed, f"main job {name}", seconds=round(time.perf_counter() - began), **figures)

    def command(self, *arguments: str, timeout: int = 1800) -> tuple[int, str]:
        """`python -m arguments…` to its end: its status, and the last of what it said."""
        command = self.start(*arguments)
        try:
            said, complained = command.communicate(timeout)
        except subprocess.TimeoutExpired:
            command.send_signal(signal.SIGKILL)
            return 1, f"no end after {timeout} s"
        return int(command.wait()), (said + complained).strip()[-300:]

    def random_job(self, name: str, model: Path, *overrides: str) -> None:
        """One on random weights: it trains on the demonstrations, so that the canary speaks."""
        few = ("evaluation.limit=4",) if model.name.endswith("tiny") else ()
        self.job(name, *JOB, f"model.path={model}", f"model.name={name}", *SHORT, *few, *overrides)


def agree(report: Report, size: str) -> None:
    """engine=hf answers and scores in a batch with a shared beginning as alone."""
    for kind, its_size, dtype in (("llama", size, "auto"), ("llama", size, "float32"), ("gemma3", "tiny", "float32")):
        _agree(report, report.model(its_size, kind), dtype)


def jobs(report: Report, size: str) -> None:
    """Main jobs on engine=hf."""
    few = ("debug=fast",) if size == "tiny" else ("synthesis=smoke", "evaluation.controls=false")
    report.job("micro-hf", "task=micro_color_word", *few)
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
            _kill_at_step(stop, store, report.start("selfguide.main", *overrides))
        status, said = report.command("selfguide.main", *overrides, timeout=900)
        if status:
            report.say(False, f"kill -9, {name}", said=said)
            return
        lines = next(store.glob("training/*/losses.jsonl")).read_text().splitlines()
        losses.append([round(json.loads(line)["loss"], 3) for line in lines])
    report.say(len(losses[0]) == len(losses[1]), "kill -9: every step once", steps=len(losses[1]))
    differ = sum(a != b for a, b in zip(*losses, strict=False))
    report.say(differ == 0, "kill -9: the losses of the training that was not killed", differ=differ)


def vllm(report: Report, size: str) -> None:
    """Main jobs on engine=vllm."""
    lifetimes, kinds = (("restart", "sleep", "keep"), ("lora", "full")) if cards() else (("keep",), ("lora",))
    for seed, lifetime in enumerate(lifetimes):
        for kind in kinds:
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
    arguments = ("benchmarks.speed", "--model", folder, "--runs", "1", "--out", str(out), *settings)
    status, said = report.command(*arguments, timeout=3600)
    report.say(status == 0 and out.exists(), "bench", record=str(out), **({"said": said} if status else {}))


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
        jobs = (*queue, "synthesis=smoke", "seed=0,1", f"store.root={shared / 'store'}")
        status, said = report.command("selfguide.main", *jobs)
        report.say(status == 0, f"SLURM, {again}", **({"said": said} if status else {}))


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
    config = _configured(model, f"model.dtype={dtype}")
    free = free_memory(training_device(config))
    with HFEngine.from_config(config) as engine:
        together, alone = engine.score(asked), [engine.score([one])[0] for one in asked]
        worst = max(abs(x - y) for a, b in zip(together, alone, strict=True) for x, y in zip(a, b, strict=True))
        limit = 0.1 if dtype != "float32" and torch.cuda.is_available() else 1e-3
        report.say(worst < limit, f"a batch is scored as alone: {name}", nats=round(worst, 5), limit=limit)
        sampling = Sampling(8 if small else 128, temperature=0.7, top_k=10, n=4 if small else 20)
        requests = [Request(prompt, sampling, seed=i) for i, prompt in enumerate(prompts)]
        began = time.perf_counter()
        first = engine.generate(requests)
        rate = sum(len(c.token_ids) for one in first for c in one) / (time.perf_counter() - began)
        figures: dict[str, Any] = {"tokens_per_s": int(rate)}
        if free is not None and (shape := shape_of(config)) is not None:
            width, held = 4 if dtype == "float32" else 2, positions_that_fit(shape, free)
            forecast = serving_memory(shape, width, min(held, vars(config.engine)["batch_tokens"]), 64)
            figures["forecast_gib"] = round(sum(forecast.values()) / GIB, 2)
            figures["measured_gib"] = round((torch.cuda.max_memory_reserved() + RUNTIME) / GIB, 2)
        report.say(first == engine.generate(requests), f"the same seeds, the same tokens: {name}", **figures)


def _train(report: Report, size: str, tokens: int, *overrides: str) -> None:
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.training.trainer import finetune

    tokens = min(tokens, 200) if size == "tiny" else tokens
    once = ("finetuning.max_epochs=1", "finetuning.epochs=1", "finetuning.save_every_s=100000")
    config = _configured(report.model(size), *overrides, f"finetuning.max_length={tokens}", *once)
    tokenizer, work = load_prompt_tokenizer(config.model), report.out / "training"
    draw, answer = random.Random(0), 64
    ids = [tuple(draw.randrange(10, 400) for _ in range(tokens - 1)) for _ in range(2 * config.finetuning.batch_size)]
    rows = [TrainingRow(text[:-answer], (*text[-answer:], tokenizer.end_id)) for text in ids]
    shutil.rmtree(work, ignore_errors=True)
    before = free_memory(training_device(config))
    fit = choose(config, tokens, before)
    child.peaks.clear()
    began = time.perf_counter()
    finetune(config, tokenizer, rows, work, 0)
    spent = time.perf_counter() - began
    shutil.rmtree(work, ignore_errors=True)
    name = f"training: {size} {tokens} tokens {' '.join(overrides)}"
    chosen = {"rows": fit.micro_batch, "recompute": fit.recompute, "forecast_gib": round(fit.needed / GIB, 2)}
    figures = {"tokens_per_s": int(len(rows) * tokens / spent), **chosen}
    if before is None:
        report.say(True, name, **figures, host_gib=round(child.peaks["host"] / GIB, 2))
        return
    measured = child.peaks["device"] + RUNTIME  # which the allocator does not count
    report.say(measured < 1.05 * fit.needed, name, **figures, measured_gib=round(measured / GIB, 2))
    after = free_memory(training_device(config)) or 0
    report.say(before - after < GIB, "all of its memory is given back", free_gib=round(after / GIB, 2))


def _kill_at_step(step: int, store: Path, command: Any) -> None:
    while command.poll() is None:
        files = store.glob("training/*.partial/losses.jsonl")
        if sum(len(file.read_bytes().splitlines()) for file in files) >= step:
            break
        time.sleep(0.02)
    command.send_signal(signal.SIGKILL)
    command.wait()


def _configured(model: Path, *overrides: str) -> RunConfig:
    return composed(*JOB[:3], f"model.path={model}", *overrides)

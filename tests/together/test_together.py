"""hydra/launcher=together: what each job leaves alone, in fewer calls, on one engine."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engines.vllm_runs import need_vllm
from tests.tiny_task import smoke, write_task
from tests.tracking import wandb_file

ROOT = Path(__file__).resolve().parents[2]
LOGPROB = re.compile(r'(?<="logprob": )([-0-9.e]+)')
JOBS = ("0", "1")
FILES = ("dataset.jsonl", "candidates.jsonl", "predictions.jsonl")


def command(folder: Path, launcher: str, *overrides: str) -> list[str]:
    return [
        sys.executable, "-m", "selfguide.main", "--multirun", f"hydra/launcher={launcher}",
        f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=${hydra.job.num}", *overrides,
    ]  # fmt: skip


def multirun(folder: Path, launcher: str, *overrides: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(folder, launcher, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def left(folder: Path) -> dict[str, list[str]]:
    """What the jobs of a multirun left, by job and file; log-probabilities without what a batch rounds away."""
    return {
        f"{job}/{name}": [
            LOGPROB.sub(lambda found: f"{float(found[1]):.3f}", line)
            for line in (folder / job / name).read_text(encoding="utf-8").splitlines()
        ]
        for job in JOBS
        for name in FILES
    }


def account(folder: Path) -> list[tuple[float, dict[str, dict[str, int]]]]:
    results = [json.loads((folder / job / "result.json").read_text()) for job in JOBS]
    return [(result["score"]["value"], result["tokens"]) for result in results]


def test_the_same_as_one_after_another(tmp_path: Path) -> None:
    task = write_task(tmp_path)

    def overrides(store: str) -> list[str]:
        return [*smoke(task, tmp_path / store), "seed=0,1", "evaluation.epochs=all"]

    multirun(tmp_path / "alone", "basic", *overrides("a"))
    done = multirun(tmp_path / "together", "together", *overrides("b"))
    assert left(tmp_path / "together") == left(tmp_path / "alone")
    assert account(tmp_path / "together") == account(tmp_path / "alone"), "scores, and each job's own tokens"
    for job in JOBS:
        log = (tmp_path / "together" / job / "run.log").read_text()
        assert f"#{job} " in done.stdout
        assert (tmp_path / "alone" / job / "run.log").read_text().count("\n") == log.count("\n")
        assert json.loads((tmp_path / "together" / job / "result.json").read_text())["seed"] == int(job)


def test_jobs_that_want_the_same_stage_make_it_once(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    # The base model's answers are the same for every method and setting.
    multirun(
        tmp_path / "runs", "together", *smoke(task, tmp_path / "store", "finetuning=none"),
        "temperature.input=0.5,0.9", "evaluation.controls=false",
    )  # fmt: skip
    assert all((tmp_path / "runs" / job / "result.json").exists() for job in JOBS)
    assert len(list((tmp_path / "store").glob("predictions/*/manifest.json"))) == 1
    assert len(list((tmp_path / "store").glob("inputs/*/manifest.json"))) == 2


def test_a_job_that_fails_fails_alone(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    done = multirun(
        tmp_path / "runs", "together", *smoke(task, tmp_path / "store", "finetuning=none"),
        "model.context_length=null,40", code=2,
    )  # fmt: skip
    assert (tmp_path / "runs" / "0" / "result.json").exists()
    assert not (tmp_path / "runs" / "1" / "result.json").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("hydra.launcher.at_once=0", "hydra.launcher.at_once: 0 is not allowed; allowed: 1 or more"),
        ("teacher=local teacher.model.path=somewhere", "teacher.engine: hf is not allowed; allowed: openai"),
    ],
)
def test_what_it_cannot_do_is_one_clear_line(tmp_path: Path, override: str, says: str) -> None:
    overrides = smoke(write_task(tmp_path), tmp_path / "s", *override.split())
    done = multirun(tmp_path / "runs", "together", *overrides, code=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_stopped_and_started_again_it_leaves_the_same(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    more = ["seed=0,1", "generation.rounds=12", "finetuning=none"]
    multirun(tmp_path / "whole", "together", *smoke(task, tmp_path / "a"), *more)
    running = subprocess.Popen(
        command(tmp_path / "cut", "together", *smoke(task, tmp_path / "b"), *more),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while len(list((tmp_path / "b").glob("inputs/*/journal.jsonl"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert stderr.count("interrupted") == 1
    assert not list((tmp_path / "cut").glob("*/result.json"))
    multirun(tmp_path / "cut", "together", *smoke(task, tmp_path / "b"), *more)
    assert left(tmp_path / "cut") == left(tmp_path / "whole")


def test_each_job_has_its_own_run_of_a_tracker(tmp_path: Path) -> None:
    overrides = smoke(write_task(tmp_path), tmp_path / "store", "seed=0,1")
    multirun(tmp_path / "runs", "together", *overrides, "tracking=wandb", "tracking.mode=offline")
    for job in JOBS:
        found = wandb_file.records(tmp_path / "runs" / job)
        result = json.loads((tmp_path / "runs" / job / "result.json").read_text())
        assert wandb_file.summary(found)["score"] == result["score"]["value"]
        assert wandb_file.run_of(found).display_name.endswith(f"-{job}"), "the seed"
        steps = [row["training/step"] for row in wandb_file.history(found) if "training/training" in row]
        assert steps == sorted(set(steps)) and steps


@pytest.mark.slow
def test_vllm_is_started_once_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_vllm()
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "INFO")
    task = write_task(tmp_path)

    def overrides(store: str) -> list[str]:
        return [*smoke(task, tmp_path / store), "engine=vllm", "model.dtype=float32", "seed=0,1"]

    together = multirun(tmp_path / "together", "together", *overrides("a"))
    alone = multirun(tmp_path / "alone", "basic", *overrides("b"))
    starts = [(done.stdout + done.stderr).count("Initializing a V1 LLM engine") for done in (together, alone)]
    assert starts == [1, 2]
    assert left(tmp_path / "together") == left(tmp_path / "alone")
    assert account(tmp_path / "together") == account(tmp_path / "alone")

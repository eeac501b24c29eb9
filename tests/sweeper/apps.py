"""Runs the small application in processes of their own, as a user would."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from tests import cli

ROOT = Path(__file__).resolve().parents[2]


def command(folder: Path, *overrides: str, module: str = "tests.sweeper.app") -> list[str]:
    fixed = [f"log={folder / 'log'}", f"hydra.sweep.dir={folder / 'sweep'}"]
    return [sys.executable, "-m", module, "-m", *fixed, *overrides]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def starts_processes(overrides: tuple[str, ...]) -> bool:
    """Whether a launcher does, whose workers import `__main__`: a forked process has none."""
    return any(o.startswith("hydra/launcher=") and o != "hydra/launcher=basic" for o in overrides)


def sweep(folder: Path, *overrides: str, expect: int = 0) -> str:
    """Run to the end; returns what it printed."""
    fresh, environ = command(folder, *overrides), environment()
    if starts_processes(overrides):
        done = subprocess.run(fresh, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
    else:
        done = cli.run(*fresh[2:], cwd=folder, environment=environ)
    said = done.stdout + done.stderr
    assert done.returncode == expect, said
    return said


@dataclass(frozen=True)
class Alone:
    """For `tests.cli`: a process group of its own, as of a shell, whose output goes to a file."""

    output: Path

    def __call__(self) -> None:
        os.setsid()
        file = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        # A background job of a shell ignores Ctrl-C, and its children would too.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def start(folder: Path, *overrides: str) -> "subprocess.Popen[bytes] | cli.Command":
    """Its output goes to `folder`/out."""
    fresh, environ, alone = command(folder, *overrides), environment(), Alone(folder / "out")
    if starts_processes(overrides):
        return subprocess.Popen(fresh, cwd=folder, env=environ, preexec_fn=alone)
    return cli.start(*fresh[2:], cwd=folder, environment=environ, before=alone)


def jobs(folder: Path) -> list[str]:
    """Every job that really ran: `task x y seed`, in the order of their starts."""
    log = folder / "log"
    return [line.rpartition(" ")[0] for line in log.read_text().splitlines()] if log.exists() else []


def pids(folder: Path) -> set[int]:
    log = folder / "log"
    return {int(line.rpartition(" ")[2]) for line in log.read_text().splitlines()} if log.exists() else set()


def repeated(folder: Path) -> dict[str, int]:
    return {job: count for job, count in Counter(jobs(folder)).items() if count > 1}


def until(true: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def studies(folder: Path, url: str | None = None) -> list[optuna.Study]:
    storage = url or JournalStorage(JournalFileBackend(str(folder / "sweep" / "study.log")))
    return [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage=storage)]


def trials(folder: Path, url: str | None = None) -> list[FrozenTrial]:
    (study,) = studies(folder, url)
    return study.get_trials()


def winner(said: str) -> str:
    """The setting in the line that names the winner."""
    (line,) = [line for line in said.splitlines() if line.startswith("winner: trial")]
    return line.split(": ", 2)[2]

"""The project's commands as a user starts them, each in a process of its own.

`start` and `run` fork it from a server that has loaded torch, transformers and peft: what takes a fresh interpreter
seconds is there at once. A fresh one is needed only where importing itself, or the order of a set, is looked at.
"""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any

from tests import forked_server

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "peft", "optuna", "pandas", "scipy")
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.preloaded"])
_ENVIRONMENT = dict(os.environ)
Before = Callable[[], object]


class Command:
    """A running command: the part of `subprocess.Popen` that tests use."""

    def __init__(
        self, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], said: str, before: Before | None
    ):
        self.args = ["python", "-m", *arguments]
        pipes = [multiprocessing.Pipe(duplex=False) for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        inherited = {**os.environ, **environment}
        _start_server()
        self._process: Any = _SERVER.Process(target=_enter, args=(arguments, str(cwd), inherited, theirs, before))
        self._process.start()
        for end in theirs:
            end.close()
        self._out, self._error = (_Reader(ours) for ours, _ in pipes[1:])
        os.write(pipes[0][1].fileno(), said.encode())
        pipes[0][1].close()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self._out.text(), self._error.text()

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


def start(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None, said: str = "", before: Before | None = None
) -> Command:
    """`python -m arguments…` in `cwd`, with `environment` beside this process's and `said` as its standard input.

    `before` is called in the new process first.
    """
    return Command(arguments, cwd, environment or {}, said, before)


def run(*arguments: str, timeout: float = 500, **more: Any) -> "CompletedProcess[str]":
    """`start`, to the end."""
    command = start(*arguments, **more)
    try:
        said, complained = command.communicate(timeout)
    except TimeoutExpired:
        command.send_signal(signal.SIGKILL)
        raise
    return CompletedProcess(command.args, command.wait(), said, complained)


def nothing_heavy() -> None:
    """For `before`: a command that imports one of `HEAVY` ends in a traceback."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("selfguide", "hydra_plugins", *HEAVY):
            del sys.modules[name]
    sys.modules.update(dict.fromkeys(HEAVY))  # type: ignore[arg-type]


def _start_server() -> None:
    """Once, as if at the start of the tests: whatever folder and variables a test has set by now."""
    now = dict(os.environ)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    try:
        with contextlib.chdir(ROOT):
            forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(now)


def _enter(
    arguments: tuple[str, ...], cwd: str, environment: dict[str, str], pipes: list[Connection], before: Before | None
) -> None:
    """In the new process: what a fresh interpreter finds, then the module as `python -m` runs it."""
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    streams: Any = sys
    streams.stdin, streams.stdout, streams.stderr = (
        open(number, "rw"[number > 0], buffering=1, closefd=False)  # noqa: SIM115
        for number in range(3)
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = list(arguments)
    forked_server.use_it()
    try:
        if before is not None:
            before()
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


class _Reader(threading.Thread):
    """Reads a pipe to its end, so that who writes never waits."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(daemon=True)
        self._pipe, self._parts = pipe, list[bytes]()
        self.start()

    def run(self) -> None:
        with self._pipe:
            while part := os.read(self._pipe.fileno(), 1 << 16):
                self._parts.append(part)

    def text(self) -> str:
        self.join(60)
        return b"".join(self._parts).decode()

"""The project's commands as a user starts them, each in a process of its own.

`start` and `run` fork it from a server that has loaded torch, transformers and peft: what takes seconds in a fresh
interpreter is there at once. A fresh one is needed only where importing itself is looked at.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.preloaded"])


class Command:
    """A running command, with the part of `subprocess.Popen` that tests use. Its output is kept in files."""

    def __init__(self, module: str, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], said: str):
        self.args = ["python", "-m", module, *arguments]
        self._files = [tempfile.NamedTemporaryFile() for _ in range(3)]  # noqa: SIM115
        self._files[0].write(said.encode())
        self._files[0].flush()
        names = [file.name for file in self._files]
        self._process: ForkServerProcess = _SERVER.Process(  # type: ignore[assignment]
            target=_enter, args=(module, arguments, str(cwd), {**os.environ, **environment}, names)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def stdout(self) -> str:
        return Path(self._files[1].name).read_text()

    @property
    def stderr(self) -> str:
        return Path(self._files[2].name).read_text()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired(self.args, timeout or 0, self.stdout, self.stderr)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.stdout, self.stderr

    def send_signal(self, signum: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


def start(module: str, *arguments: str, cwd: Path, said: str = "", **environment: str) -> Command:
    """`python -m module arguments` in `cwd`, with `environment` beside this process's."""
    return Command(module, arguments, cwd, environment, said)


def run(
    module: str, *arguments: str, cwd: Path, said: str = "", timeout: float = 300, **environment: str
) -> CompletedProcess[str]:
    """The same to its end; `said` is its standard input."""
    command = start(module, *arguments, cwd=cwd, said=said, **environment)
    try:
        code = command.wait(timeout)
    except TimeoutExpired:
        command.send_signal(signal.SIGKILL)
        raise
    return CompletedProcess(command.args, code, command.stdout, command.stderr)


def _enter(module: str, arguments: tuple[str, ...], cwd: str, environment: dict[str, str], names: list[str]) -> None:
    """In the child: what a fresh interpreter finds, then the module as `python -m` runs it."""
    # A signal to one command's group reaches no other's.
    os.setpgid(0, 0)
    for number, (name, mode) in enumerate(zip(names, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        descriptor = os.open(name, mode)
        os.dup2(descriptor, number)
        os.close(descriptor)
    streams: Any = sys
    streams.stdin, streams.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    streams.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = [cwd, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()

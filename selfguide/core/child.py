"""A function in a process of its own, whose end gives back all that it held: memory, devices, handles.

Children are forked from a server that has imported the heavy packages and done nothing else. A child thus starts in
milliseconds, inherits no device that this process uses, and never runs `__main__` again. The server dies with the
thread that started it, its children die with the server, also on kill -9 (Linux).
"""

import atexit
import contextlib
import json
import logging
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfguide.core.console import Bar, log_once
from selfguide.core.errors import SelfguideError
from selfguide.core.paths import RESOURCES

POLL_S = 0.1
PROGRESS = "selfguide.progress"
SHOWN = 2000
"""Characters of a dead child's last words."""
_server = threading.local()
peaks: dict[str, int] = {}
"""Bytes: the most that any one child held so far, on the host and on a device."""


class ChildProgress:
    """In a child: steps made, for the bar of the process that waits."""

    def resume(self, done: int) -> None:
        """Steps that an earlier run made."""
        self.advance(done)

    def advance(self, count: int, **fields: object) -> None:
        """Steps made since the last call, with what to show beside them."""
        shown = {name: str(value) for name, value in fields.items()}
        logging.getLogger(PROGRESS).info(json.dumps({"count": count, **shown}))


def warm_up() -> None:
    """Start the server, so that it has imported everything by the time a child is wanted. Returns at once."""
    process = getattr(_server, "process", None)
    if process is not None and _server.owner == os.getpid() and process.poll() is None:
        return
    _server.process, _server.owner = start_server(), os.getpid()
    atexit.register(_stop, _server.process, os.getpid())


def start_server() -> "subprocess.Popen[bytes]":
    """A server in a fresh interpreter, and in a process group of its own: Ctrl-C is ours to answer."""
    path = os.pathsep.join([str(RESOURCES.parents[1]), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", "selfguide.core.child_server", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        env={**os.environ, "PYTHONPATH": path},
    )


def call(
    function: Callable[..., Any],
    *arguments: Any,
    processes: int = 1,
    watch: Callable[[], None] = lambda: None,
    progress: Bar | None = None,
) -> Any:
    """`function(*arguments)` in a child, or in `processes` of them that torch.distributed can join: the first's result.

    `watch` is called a few times a second. What the children log is logged here, and what a `ChildProgress` among the
    arguments is told is told to `progress`. Errors of ours are raised as they
    were, any other as `ChildError`; a child that died without a word is a `SelfguideError`. Whatever interrupts the
    wait kills the children.
    """
    warm_up()
    process = _server.process
    with tempfile.TemporaryDirectory(prefix="selfguide-child-") as name:
        folder, shown = Path(name), 0
        payload = pickle.dumps((function, arguments))
        try:
            pickle.dump((dict(os.environ), str(Path.cwd()), sys.path, name, processes, payload), process.stdin)
            process.stdin.flush()
            while not select.select([process.stdout], [], [], POLL_S)[0]:
                shown = _relay(folder, shown, progress)
                watch()
            statuses = pickle.load(process.stdout)
        except (BrokenPipeError, EOFError):
            _stop(process, os.getpid())
            raise SelfguideError("the process that starts child processes was killed: out of main memory?") from None
        except BaseException:
            _stop(process, os.getpid())
            raise
        _relay(folder, shown, progress)
        watch()
        return _outcome(folder, statuses)


def _outcome(folder: Path, statuses: list[int]) -> Any:
    files = sorted(folder.glob("outcome-*"), key=lambda path: path.stat().st_mtime_ns)
    outcomes = {path.name: pickle.loads(path.read_bytes()) for path in files}
    for kind, value, _ in outcomes.values():
        if kind == "error":  # the first one: others fail because it did
            raise value
    dead = [os.waitstatus_to_exitcode(status) for status in statuses if status]
    if dead or "outcome-0" not in outcomes:
        died = f"signal {-dead[0]} ({signal.strsignal(-dead[0])})" if dead and dead[0] < 0 else f"status {dead[:1]}"
        said = (folder / "output").read_text(encoding="utf-8", errors="replace").strip()[-SHOWN:]
        raise SelfguideError(f"a child process ended with {died}: out of main memory? {said}".strip())
    for _, _, held in outcomes.values():
        for where, size in held.items():
            peaks[where] = max(peaks.get(where, 0), size)
    return outcomes["outcome-0"][1]


def _relay(folder: Path, shown: int, progress: Bar | None) -> int:
    """Log here what the children have logged since line `shown`."""
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / "log").read_text(encoding="utf-8").splitlines(keepends=True)
        for line in lines[shown:]:
            if not line.endswith("\n"):
                break
            name, level, message = json.loads(line)
            if name == PROGRESS and progress is not None:
                progress.advance(**json.loads(message))
            elif name != PROGRESS:
                log_once(logging.getLogger(name), message, level)
            shown += 1
    return shown


def _stop(process: "subprocess.Popen[bytes]", owner: int) -> None:
    """Kill the server and its children; only whoever started it may."""
    if os.getpid() != owner:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            assert stream is not None
            stream.close()

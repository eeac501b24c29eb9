"""What forks children for `selfguide.core.child`: it has imported the heavy packages, and does nothing itself."""

import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from selfguide.core.errors import ChildError, SelfguideError

PRELOADED = ("torch", "transformers.trainer", "peft", "accelerate")
PR_SET_PDEATHSIG = 1
RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux; elsewhere no effect)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def serve(parent: int) -> None:
    """Answer what is asked on the standard input until it ends, or the process `parent` does."""
    _die_with(parent)
    asked, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whoever prints, prints no reply
    for name in PRELOADED:
        importlib.import_module(name)
    # A child's search for garbage then passes over what it shares with this process.
    gc.freeze()
    while True:
        try:
            request = pickle.load(asked)
        except EOFError:
            gc.unfreeze()  # or libraries complain at the end of what is left
            return
        pickle.dump(_run_all(*request), replies)
        replies.flush()


def _run_all(
    environment: dict[str, str], cwd: str, path: list[str], folder: str, processes: int, payload: bytes
) -> list[int]:
    """Fork the children, wait for them, kill the others once one has failed. Their wait statuses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, children = os.getpid(), {}
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            _die_with(server)
            os.environ.clear()
            os.environ.update({name: value for name, value in environment.items() if name not in RANKS})
            if processes > 1:
                values = (rank, rank, processes, processes, "127.0.0.1", port)
                os.environ.update(dict(zip(RANKS, map(str, values), strict=True)))
            os.chdir(cwd)
            sys.path[:] = path
            _run(Path(folder), rank, payload)
        children[child] = rank
    statuses = [0] * processes
    while children:
        child, status = os.wait()
        statuses[children.pop(child)] = status
        if status:
            for other in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(other, signal.SIGKILL)
    return statuses


def _run(folder: Path, rank: int, payload: bytes) -> NoReturn:
    """In the child: run, leave the outcome, and end without Python's way out, on which torch's threads may abort."""
    status = 1
    try:
        output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        logging.getLogger("selfguide").setLevel(logging.INFO)
        if rank == 0:
            logging.getLogger("selfguide").addHandler(_Sent(folder / "log"))
        try:
            function, arguments = pickle.loads(payload)
            outcome = pickle.dumps(("result", function(*arguments), _held()))
            status = 0
        except SelfguideError as error:
            outcome = pickle.dumps(("error", error, {}))
        except BaseException:
            outcome = pickle.dumps(("error", ChildError(traceback.format_exc()), {}))
        temporary = folder / f".outcome-{rank}"
        temporary.write_bytes(outcome)
        temporary.rename(folder / f"outcome-{rank}")
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _held() -> dict[str, int]:
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    held = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        held["device"] = int(torch.cuda.max_memory_reserved())
    return held


class _Sent(logging.Handler):
    """Leaves records where the process that waits finds them."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([record.name, record.levelno, record.getMessage()]) + "\n")


if __name__ == "__main__":
    serve(int(sys.argv[1]))

"""Which sweepers still work on a study: one that died leaves trials that nobody will finish.

Each sweeper keeps an entry in the study. On the same host it is alive while its process is, so that a restart
after `kill -9` waits for nothing; on another host, while it renewed its entry within the lease. (Optuna's heartbeat
knows databases only, no journal, and times alone.)
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import psutil
from optuna.study import Study

PREFIX = "sweeper:"
CLOCK_S = 5.0  # by which two readings of one process's start may differ
log = logging.getLogger(__name__)


class Lease:
    """A sweeper's entry, renewed by a thread until the `with` block ends."""

    def __init__(self, study: Study, seconds: float) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.seconds = seconds
        self._study = study
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._write(working=True)
        threading.Thread(target=self._renew, name="sweep lease", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._try_to_write(working=False)

    def alive(self, sweeper: str | None) -> bool:
        """Whether this sweeper still works on the study. Without a name: whether any other does."""
        attributes = self._study.user_attrs
        if sweeper == self.id:
            return True
        names = [f"{PREFIX}{sweeper}"] if sweeper else {name for name in attributes if name.startswith(PREFIX)}
        others = [attributes[name] for name in names if name in attributes and name != f"{PREFIX}{self.id}"]
        return any(_alive(entry, self.seconds) for entry in others)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 3):
            self._try_to_write(working=True)

    def _try_to_write(self, *, working: bool) -> None:
        try:
            self._write(working=working)
        except Exception as error:
            # A database restarts, a file system hangs: the next attempt may succeed before the lease lapses.
            log.warning("the sweeper's lease was not renewed: %s: %s", type(error).__name__, error)

    def _write(self, *, working: bool) -> None:
        pid = os.getpid()
        entry = {"host": socket.gethostname(), "pid": pid, "started": _started(pid), "said": time.time()}
        self._study.set_user_attr(f"{PREFIX}{self.id}", {**entry, "working": working})


def _alive(entry: Mapping[str, Any], seconds: float) -> bool:
    if not entry["working"]:
        return False
    if entry["host"] != socket.gethostname():
        return time.time() - float(entry["said"]) < seconds
    started = _started(int(entry["pid"]))
    return started is not None and abs(started - float(entry["started"])) < CLOCK_S


def _started(pid: int) -> float | None:
    """When a process started, so that a later one with its number is not taken for it; None if it is gone."""
    try:
        process = psutil.Process(pid)
        gone = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return None if gone else process.create_time()
    except psutil.Error:
        return None

"""Who works on a study: a sweeper that died leaves trials that nobody will finish.

Each sweeper keeps an entry in the study. On the same host it is alive while its process is; on
another, while it has spoken within the lease.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.study import Study

from selfguide.apps.sweep.storage import host

PREFIX = "sweeper:"
log = logging.getLogger(__name__)


class Lease:
    """A sweeper's entry, renewed by a thread until the `with` block ends."""

    def __init__(self, study: Study, seconds: float) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.seconds = seconds
        self._study = study
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="sweep lease", daemon=True)

    def __enter__(self) -> Self:
        self._speak(True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._try_to_speak(False)

    def alive(self, sweeper: str | None) -> bool:
        """Whether this sweeper still works on the study. Without a name: whether any other does."""
        entries = {
            name.removeprefix(PREFIX): entry
            for name, entry in self._study.user_attrs.items()
            if name.startswith(PREFIX)
        }
        if sweeper is None:
            return any(_alive(entry, self.seconds) for name, entry in entries.items() if name != self.id)
        return sweeper == self.id or (sweeper in entries and _alive(entries[sweeper], self.seconds))

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 3):
            self._try_to_speak(True)

    def _try_to_speak(self, working: bool) -> None:
        try:
            self._speak(working)
        except Exception as error:
            # A database restarts, a file system hangs: the next word may get through before the lease lapses.
            log.warning("the sweeper's lease was not renewed: %s: %s", type(error).__name__, error)

    def _speak(self, working: bool) -> None:
        entry = {
            "host": host(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "said": time.time(),
            "working": working,
        }
        self._study.set_user_attr(f"{PREFIX}{self.id}", entry)


def _alive(entry: Mapping[str, Any], seconds: float) -> bool:
    if not entry["working"]:
        return False
    if entry["host"] != host():
        return time.time() - float(entry["said"]) < seconds
    started = _started(int(entry["pid"]))
    return started is not None and started == entry["started"]


def _started(pid: int) -> str | None:
    """When a process started, so that a later one with its number is not taken for it; None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name, second, may hold anything; state and start time come after its closing parenthesis.
        fields = stat.read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"

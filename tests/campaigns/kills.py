"""Commands that are killed: at one of their file operations, or after some seconds."""

import atexit
import mmap
import os
import shutil
import signal
import struct
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests import cli

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


@dataclass(frozen=True)
class Kill:
    """For `tests.cli`: `signum` before the file operation of this number below `folder`, or after so many seconds.

    Operations of the processes that the command forks count, too; the command is what is killed. Without signal the
    operations are counted alone, into the file `count`.
    """

    folder: Path
    count: Path
    signum: int = 0
    operation: int = 0
    seconds: float = 0.0

    def __call__(self) -> None:
        done, process, folder = mmap.mmap(-1, 8), os.getpid(), str(self.folder)

        def counting(event: str, arguments: tuple[Any, ...]) -> None:
            if event != "open" and event not in CHANGING:
                return
            path, *_, flags = arguments
            if event == "open" and not (isinstance(flags, int) and flags & WRITING):
                return
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(folder):
                (number,) = struct.unpack("q", done[:8])
                done[:8] = struct.pack("q", number + 1)
                if self.operation and number + 1 == self.operation:
                    os.kill(process, self.signum)

        def late() -> None:
            # Before, a command is an interpreter that starts.
            while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                time.sleep(0.001)
            time.sleep(self.seconds)
            os.kill(process, self.signum)

        sys.addaudithook(counting)
        if self.seconds:
            threading.Thread(target=late, daemon=True).start()
        if not self.signum:
            atexit.register(lambda: self.count.write_text(str(struct.unpack("q", done[:8])[0])))


def _lasting(content: bytes) -> bytes:
    """Without the lines of a frozen setting that say when it was frozen."""
    return b"".join(line for line in content.splitlines(keepends=True) if not line.startswith((b"frozen: ", b"hash: ")))


@dataclass(frozen=True)
class Killed:
    """A command in `folder`, which a kill may leave half done; `compared` are patterns of the files that it makes."""

    folder: Path
    arguments: tuple[str, ...]
    compared: tuple[str, ...]

    def whole(self) -> tuple[int, float]:
        """Nobody kills it: how many file operations it has, and how many seconds."""
        begun = time.monotonic()
        kill = Kill(self.folder, self.folder.parent / f"{self.folder.name}.count")
        self._run(kill, {0})
        return int(kill.count.read_text()), time.monotonic() - begun

    def run(self, kill: Kill) -> bool:
        """Whether it was killed before its end. Raises AssertionError unless it ended as it must."""
        # By the signal itself: while its interpreter ends.
        ends = {0, -kill.signum} if kill.signum == signal.SIGKILL else {0, -kill.signum, 130}
        return self._run(replace(kill, folder=self.folder), ends) != 0

    def outcome(self) -> dict[str, bytes]:
        """The files that must be the same whatever happened on the way."""
        found = {path for pattern in self.compared for path in self.folder.glob(pattern)}
        return {str(path.relative_to(self.folder)): _lasting(path.read_bytes()) for path in found}

    def begin_anew(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def _run(self, kill: Kill, allowed: set[int]) -> int:
        done = cli.run(*self.arguments, cwd=self.folder, before=kill)
        said = f"ended with {done.returncode}: {done.stderr[-1500:]}"
        assert done.returncode in allowed and "Traceback" not in done.stderr, said
        if done.returncode == 130:
            assert "Continue with: " in done.stderr.splitlines()[-1], said
        return done.returncode

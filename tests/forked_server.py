"""The server of `selfguide.core.child`, forked from a process that has loaded torch instead of started anew.

For commands of `tests.cli`: each one that trains would otherwise import torch, transformers and peft once more.
"""

import os
from typing import IO

from selfguide.core import child, child_server


class Forked:
    """The part of `subprocess.Popen` that `selfguide.core.child` uses."""

    def __init__(self) -> None:
        asked, answered = os.pipe(), os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            os.dup2(asked[0], 0)
            os.dup2(answered[1], 1)
            os.closerange(3, max(*asked, *answered) + 1)
            child_server.serve(parent)
            os._exit(0)
        os.setpgid(self.pid, self.pid)  # here, too: whoever is first
        os.close(asked[0])
        os.close(answered[1])
        self.stdin: IO[bytes] = os.fdopen(asked[1], "wb")
        self.stdout: IO[bytes] = os.fdopen(answered[0], "rb")

    def poll(self) -> int | None:
        try:
            done, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return -1
        return os.waitstatus_to_exitcode(status) if done else None

    def wait(self) -> None:
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


def use_it() -> None:
    """In a process that was just forked and has done nothing yet."""
    child.start_server = Forked

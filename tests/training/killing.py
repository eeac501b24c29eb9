"""A training that dies on the way; as a program, by SIGKILL: python -m tests.training.killing FOLDER STEP."""

import os
import signal
import sys
from pathlib import Path


class Killed(Exception):
    pass


class KillAt:
    """A progress bar that dies after some steps, as a killed process would leave the folder."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.resumed = 0

    def resume(self, done: int) -> None:
        self.resumed = done
        self.left -= done

    def advance(self, count: int, **fields: object) -> None:
        self.left -= count
        if self.left <= 0:
            raise Killed


class KillSelfAt(KillAt):
    """The same without time to clean up."""

    def advance(self, count: int, **fields: object) -> None:
        self.left -= count
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from selfguide.training.job import TrainingJob
    from selfguide.training.trainer import run_job

    run_job(TrainingJob.read(Path(sys.argv[1])), KillSelfAt(int(sys.argv[2])))

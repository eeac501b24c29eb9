"""A training that dies on the way."""

import time
from collections.abc import Callable


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


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

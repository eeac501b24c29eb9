"""Calls that wait for a server, several at a time, in threads that can be left behind."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, Self, TypeVar

T = TypeVar("T")
LEAVING_S = 0.5
"""How long leaving waits for threads to end."""


class Crew(Generic[T]):
    """Threads that call `ask`. Daemons: neither leaving nor the end of the process waits for a call under way."""

    def __init__(self, ask: Callable[[int], T], size: int) -> None:
        self._ask = ask
        self._todo: SimpleQueue[int | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, Future[T]]] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name="engine=openai", daemon=True) for _ in range(size)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for _ in self._threads:
            self._todo.put(None)
        end = time.monotonic() + LEAVING_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def outcomes(self, places: Sequence[int], go_on: Callable[[], bool]) -> Iterator[tuple[int, Future[T]]]:
        """(place, its finished call) as the answers come; the next place is asked for only while `go_on()`."""
        started = finished = 0
        while True:
            while started < len(places) and started - finished < len(self._threads) and go_on():
                self._todo.put(places[started])
                started += 1
            if started == finished:
                return
            outcome = self._done.get()
            finished += 1
            yield outcome

    def _work(self) -> None:
        while (place := self._todo.get()) is not None:
            call: Future[T] = Future()
            try:
                call.set_result(self._ask(place))
            except BaseException as error:
                call.set_exception(error)
            self._done.put((place, call))

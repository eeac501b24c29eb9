"""Jobs that take turns in one thread, as greenlets: each runs until it asks something.

When no job can go on, what they ask is answered together. Nothing runs at the same time, so the jobs
need no locks against each other, and the same jobs always ask the same things together.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from greenlet import getcurrent, greenlet

Restore = Callable[[], object]
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """What a job waits for. `size` is its part of the work, for the account of time."""

    content: Any
    size: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`seconds` is what the question's part of the work took."""

    content: Any = None
    seconds: float = 0.0


class Turns:
    """Runs jobs in turn.

    `answer` takes what all open questions ask and gives replies by place, at least one; the others
    stay open. A reply that is an exception is raised where the question was asked. `capture` notes
    what a job finds around it (singletons, log handlers) and returns what brings it back when the
    job goes on.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Any]], Mapping[int, Any]],
        capture: Callable[[], Restore] = lambda: lambda: None,
    ) -> None:
        self._answer = answer
        self._capture = capture

    def run(self, works: Sequence[Callable[[], Any]], at_once: int) -> list[Any]:
        """What each work returns, in order; at most `at_once` have begun and not ended.

        An exception that leaves a work ends all, and is raised.
        """
        results: list[Any] = [None] * len(works)
        waiting = list(range(len(works)))
        jobs: dict[int, greenlet] = {}
        asked: dict[int, Question] = {}
        replies: dict[int, Reply] = {}
        try:
            while waiting or jobs:
                while waiting and len(jobs) < at_once:
                    number = waiting.pop(0)
                    jobs[number], replies[number] = self._begin(works[number]), Reply()
                for number in sorted(replies):
                    said = jobs[number].switch(replies.pop(number))
                    if jobs[number].dead:
                        results[number] = said
                        del jobs[number]
                    elif isinstance(said, Question):
                        asked[number] = said
                    else:
                        replies[number] = Reply()  # it waits for something outside, and will look again
                if waiting and len(jobs) < at_once:
                    continue
                if asked:
                    answered = self._answered(asked)
                    asked = {number: question for number, question in asked.items() if number not in answered}
                    replies |= answered
                elif replies:
                    time.sleep(POLL_S)
        finally:
            for job in jobs.values():
                job.throw()  # its `finally` blocks run, and it ends
        return results

    def ask(self, content: Any, size: int = 1) -> Any:
        """The reply; meanwhile the other jobs go on. Called by a job."""
        reply = self.leave(Question(content, size))
        if isinstance(reply.content, BaseException):
            raise reply.content
        return reply.content

    def leave(self, said: Question | None) -> Reply:
        """Let the others go on. Called by a job."""
        restore, start = self._capture(), time.monotonic()
        parent, mine = getcurrent().parent, _mine.get()
        assert parent is not None and mine is not None
        reply: Reply = parent.switch(said)
        restore()
        mine.others_s += time.monotonic() - start - reply.seconds
        return reply

    def _begin(self, work: Callable[[], Any]) -> greenlet:
        restore = self._capture()

        def job(_: Reply) -> Any:
            restore()
            _mine.set(_Job(self))  # a greenlet has a context of its own
            return work()

        return greenlet(job)

    def _answered(self, asked: Mapping[int, Question]) -> dict[int, Reply]:
        numbers = sorted(asked)
        start = time.monotonic()
        contents = {numbers[place]: reply for place, reply in self._answer([asked[n].content for n in numbers]).items()}
        seconds = (time.monotonic() - start) / max(1, sum(asked[number].size for number in contents))
        return {number: Reply(content, seconds * asked[number].size) for number, content in contents.items()}


@dataclass(slots=True)
class _Job:
    turns: Turns
    others_s: float = 0.0


_mine: ContextVar[_Job | None] = ContextVar("job", default=None)


def current() -> Turns | None:
    """Those that the running job takes part in; None where nobody takes turns."""
    mine = _mine.get()
    return None if mine is None else mine.turns


def pause() -> None:
    """For one that waits for something outside, before it looks again: let other jobs go on, or time pass."""
    turns = current()
    if turns is None:
        time.sleep(POLL_S)
    else:
        turns.leave(None)


def clock() -> float:
    """Seconds that never go back, without those that were spent on other jobs."""
    mine = _mine.get()
    return time.monotonic() - (0.0 if mine is None else mine.others_s)

"""Steps 1 and 2 without rounds: a new prompt is drawn from the newest pool whenever a slot frees.

Deterministic for a seed and `generation.max_in_flight`, although answers arrive in any order: the
schedule runs on a clock of its own that counts tokens. A proposal that starts at tick s and has n
tokens ends at tick s + n; at equal ticks the earlier proposal goes first. An answer is judged only
once every proposal still under way is known to end later (each has at least one more token than
was seen), and the next prompt is drawn at that tick, from the pool as it then stands. So what a
prompt sees depends on lengths of answers alone, not on how fast they came. An engine that answers
whole batches ends each batch at one tick: the proposals go in waves of `max_in_flight`.

The journal keeps judged proposals with their ticks; a killed run replays them and asks only for
what is missing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from selfguide.config.schema import GenerationConfig
from selfguide.models.base import Completion, Engine, Request
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.generator import Generator
from selfguide.synthesis.proposals import ProposalRequest

Draw = Callable[[Sequence[str], int, int], ProposalRequest]
"""(accepted inputs, round, index) -> the request."""


class RequestStream(Protocol):
    """Requests under way in an engine."""

    def submit(self, key: int, request: Request) -> None:
        """Start a request of one sample."""

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        """(key, ticks so far, the completion once it ended) of requests with news."""
        ...


def propose_streaming(generator: Generator, config: GenerationConfig, draw: Draw) -> list[Candidate]:
    """As many proposals as the rounds have; candidates in the order they were judged."""
    schedule = _Streaming(generator, config, draw)
    with _open(generator.model.engine) as stream:
        while schedule.fill(stream):
            while (ended := schedule.clock.release()) is None:
                for number, ticks, completion in stream.step():
                    if completion is None:
                        schedule.clock.seen(number, ticks)
                    else:
                        schedule.clock.end(number, ticks, completion)
            schedule.judge(*ended)
    schedule.write()
    return generator.candidates


class _Streaming:
    """What is under way and what is not in the journal yet. Proposals are numbered in the order they start."""

    def __init__(self, generator: Generator, config: GenerationConfig, draw: Draw) -> None:
        self.generator, self.config, self.draw = generator, config, draw
        self.clock = Clock()
        self._next = 0
        self._requests: dict[int, ProposalRequest] = {}
        self._unwritten: list[dict[str, Any]] = []
        self._before = generator.model.engine.tokens.copy()
        self._past = {row["number"]: row for entry in generator.journal.rows for row in entry["judged"]}

    def fill(self, stream: RequestStream) -> bool:
        """Start proposals as long as there is room and more are wanted; whether any is under way then."""
        config = self.config
        total, target = config.rounds * config.prompts_per_round, config.target
        enough = target is not None and len(self.generator.accepted) >= target
        while not enough and self._next < total and len(self.clock) < config.max_in_flight:
            self._start(self._next, stream)
            self._next += 1
        return bool(len(self.clock))

    def judge(self, number: int, ticks: int, completion: Completion | None) -> None:
        """The next proposal in order; one that the journal has is taken in as it was judged."""
        if number in self._past:
            self.generator.recall(self._past[number]["candidates"])
            return
        judged = self.generator.judge_reply(self._requests.pop(number), completion)
        rows = [candidate.to_row() for candidate in judged]
        self._unwritten.append({"number": number, "ticks": ticks, "candidates": rows})
        if len(self._unwritten) == self.config.prompts_per_round:
            self.write()

    def write(self) -> None:
        """To the journal, with the tokens since the last time."""
        if not self._unwritten:
            return
        tokens = self.generator.model.engine.tokens
        self.generator.journal.append({"judged": self._unwritten, "tokens": (tokens - self._before).counts()})
        self.generator.progress(len(self._unwritten))
        self._before, self._unwritten = tokens.copy(), []

    def _start(self, number: int, stream: RequestStream) -> None:
        self.clock.start(number)
        if number in self._past:
            self.clock.end(number, self._past[number]["ticks"], None)
            return
        self._requests[number] = self.draw(self.generator.accepted, *divmod(number, self.config.prompts_per_round))
        request = self.generator.engine_request(self._requests[number])
        assert request is not None  # drawn prompts fit
        stream.submit(number, request)


class Clock:
    """Who is under way, and who may be judged next."""

    def __init__(self) -> None:
        self.now = 0
        self._started: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._ended: dict[int, tuple[int, Any]] = {}

    def __len__(self) -> int:
        return len(self._started)

    def start(self, number: int) -> None:
        """A proposal starts now."""
        self._started[number], self._seen[number] = self.now, 0

    def seen(self, number: int, ticks: int) -> None:
        """It has so many ticks, and goes on."""
        self._seen[number] = ticks

    def end(self, number: int, ticks: int, answer: Any) -> None:
        """It ended after so many ticks."""
        self._seen[number] = ticks
        self._ended[number] = (ticks, answer)

    def release(self) -> tuple[int, int, Any] | None:
        """(number, ticks, answer) of the next one in order, once nobody can come before it; the clock moves there."""
        if not self._ended:
            return None
        tick, number = min((self._started[number] + ticks, number) for number, (ticks, _) in self._ended.items())
        for other, started in self._started.items():
            if other not in self._ended and (started + self._seen[other] + 1, other) < (tick, number):
                return None
        self.now = tick
        ticks, answer = self._ended.pop(number)
        del self._started[number], self._seen[number]
        return number, ticks, answer


class BatchStream:
    """A stream over an engine that answers in batches: what was submitted since, all at once, one tick."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[int, Request]] = []

    def submit(self, key: int, request: Request) -> None:
        """Keep for the next batch."""
        self._waiting.append((key, request))

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        """Answer all that wait."""
        waiting, self._waiting = self._waiting, []
        answers = self._engine.generate([request for _, request in waiting])
        for (key, _), completions in zip(waiting, answers, strict=True):
            # A server that refuses the turns as too long gives none.
            yield key, 1, completions[0] if completions else Completion("", (), 0.0, "length")


def _open(engine: Engine) -> AbstractContextManager[RequestStream]:
    opener = getattr(engine, "stream", None)
    opened: AbstractContextManager[RequestStream] = _batches(engine) if opener is None else opener()
    return opened


@contextmanager
def _batches(engine: Engine) -> Iterator[RequestStream]:
    yield BatchStream(engine)

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

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from selfguide.config.schema import FiltersConfig, GenerationConfig
from selfguide.core.types import TaskSpec
from selfguide.models.base import Completion, Engine, Request
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.inputs import InputPool, RoundDone, draw_prompt, input_request


class RequestStream(Protocol):
    """Requests under way in an engine."""

    def submit(self, key: int, request: Request) -> None:
        """Start a request of one sample."""

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        """(key, ticks so far, the completion once it ended) of requests with news."""
        ...


def stream_inputs(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    generation: GenerationConfig,
    filters: FiltersConfig,
    temperature: float,
    seed: int,
    journal: Journal,
    on_round: RoundDone | None = None,
) -> list[Candidate]:
    """As `propose_inputs`, with the same number of proposals; candidates in the order they were judged."""
    pool = InputPool(task, filters)
    size = generation.prompts_per_round
    total = generation.rounds * size
    past = {place: row for entry in journal.rows for place, row in zip(entry["places"], _rows(entry), strict=True)}
    fresh: list[tuple[int, Candidate, int]] = []
    before = engine.tokens.copy()
    labels: dict[int, str | None] = {}
    clock = Clock()

    def start(place: int, stream: RequestStream) -> None:
        round_number, slot = divmod(place, size)
        if place in past:
            clock.start(place)
            clock.end(place, past[place][1], past[place][0])
            return
        prompt, ids = draw_prompt(
            task, generation, pool.accepted, engine.context_length, tokenizer, seed, round_number, slot
        )
        labels[place] = prompt.label
        request = input_request(
            prompt, ids, generation, temperature, engine.context_length, tokenizer, seed, round_number, slot
        )
        clock.start(place)
        stream.submit(place, request)

    def judge(place: int, ticks: int, answer: Any) -> None:
        if place in past:
            pool.add(Candidate.from_row(answer))
            return
        round_number, slot = divmod(place, size)
        judged = pool.judge(Candidate(f"{round_number}-{slot}", round_number, answer.text, labels.pop(place)))
        fresh.append((place, judged, ticks))

    def write() -> None:
        nonlocal before
        journal.append(
            {
                "places": [place for place, _, _ in fresh],
                "candidates": [candidate.to_row() for _, candidate, _ in fresh],
                "ticks": [ticks for _, _, ticks in fresh],
                "tokens": (engine.tokens - before).counts(),
            }
        )
        before = engine.tokens.copy()
        fresh.clear()
        if on_round is not None:
            on_round(len(journal.rows), len(pool.candidates), len(pool.accepted))

    following = 0
    with _open(engine) as stream:
        while True:
            enough = generation.target is not None and len(pool.accepted) >= generation.target
            while not enough and following < total and len(clock) < generation.max_in_flight:
                start(following, stream)
                following += 1
            if not len(clock):
                break
            while (ended := clock.release()) is None:
                for place, ticks, completion in stream.step():
                    clock.seen(place, ticks) if completion is None else clock.end(place, ticks, completion)
            judge(*ended)
            if len(fresh) == size:
                write()
    if fresh:
        write()
    return pool.candidates


class Clock:
    """Who is under way, and who may be judged next."""

    def __init__(self) -> None:
        self.now = 0
        self._started: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._ended: dict[int, tuple[int, Any]] = {}

    def __len__(self) -> int:
        return len(self._started)

    def start(self, place: int) -> None:
        """A proposal starts now."""
        self._started[place], self._seen[place] = self.now, 0

    def seen(self, place: int, ticks: int) -> None:
        """It has so many ticks, and goes on."""
        self._seen[place] = ticks

    def end(self, place: int, ticks: int, answer: Any) -> None:
        """It ended after so many ticks."""
        self._seen[place] = ticks
        self._ended[place] = (ticks, answer)

    def release(self) -> tuple[int, int, Any] | None:
        """(place, ticks, answer) of the next one in order, once nobody can come before it; the clock moves there."""
        if not self._ended:
            return None
        tick, place = min((self._started[place] + ticks, place) for place, (ticks, _) in self._ended.items())
        for other, started in self._started.items():
            if other not in self._ended and (started + self._seen[other] + 1, other) < (tick, place):
                return None
        self.now = tick
        ticks, answer = self._ended.pop(place)
        del self._started[place], self._seen[place]
        return place, ticks, answer


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
        for (key, _), [completion] in zip(waiting, answers, strict=True):
            yield key, 1, completion


def _open(engine: Engine) -> AbstractContextManager[RequestStream]:
    own = getattr(engine, "stream", None)
    opened: AbstractContextManager[RequestStream] = _batches(engine) if own is None else own()
    return opened


@contextmanager
def _batches(engine: Engine) -> Iterator[RequestStream]:
    yield BatchStream(engine)


def _rows(entry: dict[str, Any]) -> Sequence[tuple[dict[str, Any], int]]:
    return list(zip(entry["candidates"], entry["ticks"], strict=True))

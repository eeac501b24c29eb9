"""One engine for jobs that take turns: what is joined, what is counted, when it starts and stops."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from selfguide.config.schema import RunConfig
from selfguide.engines.base import Completion, Progress, Request, Sampling, ScoreRequest, TokenCount
from selfguide.errors import EngineError, PromptTooLongError
from selfguide.session import LanguageModel
from selfguide.together.engine import OneEngine, engine_for
from selfguide.together.turns import Restore
from tests.composing import run_config
from tests.doubles import ScriptedEngine


class Recording(ScriptedEngine):
    """Says when it starts and stops, and the sizes of its calls; refuses prompts that begin with 99, fails on 98."""

    def __init__(self, said: list[str], name: str) -> None:
        super().__init__(lambda ids: "", lambda prompt, seed, sample: f"answer {seed}")
        self._said, self._name = said, name
        said.append(f"start {name}")

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        if any(request.prompt_ids[0] == 99 for request in requests):
            raise PromptTooLongError("too long")
        if any(request.prompt_ids[0] == 98 for request in requests):
            self._said.append(f"{self._name} fails {len(requests)}")
            raise EngineError("server down")
        self._said.append(f"{self._name} answers {len(requests)}")
        return super().generate(list(requests), progress)

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        self._said.append(f"{self._name} scores {len(requests)}")
        return [tuple(-1.0 for _ in request.completion_ids) for request in requests]

    def close(self) -> None:
        self._said.append(f"stop {self._name}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    builds: Callable[[RunConfig], Recording] = lambda config: Recording(events, config.model.dtype)  # noqa: E731
    monkeypatch.setattr("selfguide.engines.build.build_engine", builds)
    return events


def nothing() -> Restore:
    return lambda: None


def requests(*seeds: int, first: int = 1) -> list[Request]:
    return [Request((first, 2, 3), Sampling(4), seed) for seed in seeds]


def together(*works: Callable[[], object], at_once: int = 8) -> list[object]:
    with OneEngine(nothing) as turns:
        return turns.run(works, at_once)


def model(*overrides: str) -> LanguageModel:
    config = run_config("model.dtype=float32", *overrides)
    engine = engine_for(config)
    assert engine is not None
    return LanguageModel(config, engine)


def test_calls_are_joined_and_each_job_counts_its_own(said: list[str]) -> None:
    def job(*seeds: int) -> tuple[list[str], TokenCount, list[int]]:
        engine, told = model().engine, list[int]()
        texts = [completions[0].text for completions in engine.generate(requests(*seeds), told.append)]
        engine.score([ScoreRequest((1, 2), (3,)), ScoreRequest((1, 2), ())])
        assert engine.generate([]) == []
        return texts, engine.tokens, told

    first, second = together(lambda: job(1, 2), lambda: job(3))
    assert said == ["start float32", "float32 answers 3", "float32 scores 4", "stop float32"]
    texts, tokens, told = first  # type: ignore[misc]
    assert texts == ["answer 1", "answer 2"] and told == [2]
    assert (tokens.prompt, tokens.calls) == (2 * 3 + 3, 2 + 1)
    assert second[0] == ["answer 3"]  # type: ignore[index]


def test_a_bad_request_is_the_error_of_its_job_alone(said: list[str]) -> None:
    def job(first: int) -> str:
        try:
            return model().engine.generate(requests(5, first=first))[0][0].text
        except PromptTooLongError as error:
            return str(error)

    assert together(lambda: job(1), lambda: job(99), lambda: job(2)) == ["answer 5", "too long", "answer 5"]


def test_an_engine_that_fails_is_asked_once_and_ends_all_who_asked(said: list[str]) -> None:
    def job(dtype: str, first: int) -> str:
        try:
            return model(f"model.dtype={dtype}").engine.generate(requests(5, first=first))[0][0].text
        except EngineError as error:
            return str(error)

    ends = together(lambda: job("float32", 1), lambda: job("float32", 98), lambda: job("bfloat16", 1))
    assert ends == ["server down", "server down", "answer 5"]
    assert said.count("float32 fails 2") == 1 and "float32 answers 1" not in said


def test_jobs_for_another_engine_wait_until_the_first_is_done(said: list[str]) -> None:
    def job(dtype: str) -> None:
        engine = model(f"model.dtype={dtype}").engine
        for seed in range(3):
            engine.generate(requests(seed))

    together(lambda: job("float32"), lambda: job("bfloat16"), lambda: job("float32"))
    assert said == [
        *("start float32", *["float32 answers 2"] * 3, "stop float32"),
        *("start bfloat16", *["bfloat16 answers 1"] * 3, "stop bfloat16"),
    ]


def test_jobs_of_two_kinds_that_look_at_their_engine_before_each_call_start_it_once(said: list[str]) -> None:
    def job(dtype: str, calls: int) -> None:
        engine = model(f"model.dtype={dtype}", "model.context_length=100").engine
        for seed in range(calls):
            assert (engine.name, engine.context_length) == ("hf", 100)  # a stage cuts its answers by it
            engine.generate(requests(seed))

    kinds = ["float32", "bfloat16"] * 3
    together(*[partial(job, kind, 3 + place) for place, kind in enumerate(kinds)], at_once=3)
    assert [event for event in said if event.startswith("start")] == ["start float32", "start bfloat16"]
    assert sum(int(event.split()[-1]) for event in said if "answers" in event) == sum(range(3, 9))


@pytest.mark.parametrize(("lifetime", "starts"), [("keep", 1), ("restart", 2)])
def test_lifetime_holds_for_the_shared_engine(said: list[str], lifetime: str, starts: int) -> None:
    held: list[int] = []

    def job() -> None:
        mine = model(f"engine.lifetime={lifetime}")
        mine.engine.generate(requests(1))
        mine.free_device()
        running = sum(event.startswith("start") for event in said) - sum(event.startswith("stop") for event in said)
        held.append(running)  # while it trains
        mine.engine.generate(requests(2))
        mine.close()

    together(job, job)
    assert held == ([1, 1] if lifetime == "keep" else [0, 0])
    assert [event for event in said if "answers" in event] == ["float32 answers 2"] * 2
    assert sum(event.startswith("start") for event in said) == starts
    assert said[-1] == "stop float32"


def test_outside_nothing_is_shared() -> None:
    assert engine_for(run_config()) is None

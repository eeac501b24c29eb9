"""One engine for many runs: started late, kept, handed on, and stopped when another is needed."""

from collections.abc import Callable

import pytest

from selfguide.config.schema import RunConfig
from selfguide.models.base import Engine, Request, Sampling
from selfguide.models.pool import EnginePool, engine_key
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config


class Counted(ScriptedEngine):
    """Says when it was started, put to sleep and stopped."""

    def __init__(self, said: list[str], number: int) -> None:
        super().__init__(lambda ids: "", lambda prompt, seed, sample: "x")
        self._said, self._number = said, number
        said.append(f"start {number}")

    def sleep(self) -> None:
        self._said.append(f"sleep {self._number}")

    def close(self) -> None:
        self._said.append(f"stop {self._number}")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []
    builds: Callable[[RunConfig], ScriptedEngine] = lambda config: Counted(  # noqa: E731
        events, sum(event.startswith("start") for event in events)
    )
    monkeypatch.setattr("selfguide.models.build.build_engine", builds)
    return events


def answer(engine: Engine) -> None:
    engine.generate([Request((1, 2), Sampling(3))])


def test_runs_that_agree_share_one(said: list[str]) -> None:
    with EnginePool() as pool:
        for seed in range(3):
            engine = pool.engine_for(run_config(f"seed={seed}", "generation.target=7"))
            assert said == (["start 0"] if seed else [])
            answer(engine)
            assert engine.tokens.calls == seed + 1
            engine.close()
        assert said == ["start 0"]
    assert said == ["start 0", "stop 0"]


def test_a_run_that_needs_no_engine_starts_none(said: list[str]) -> None:
    with EnginePool() as pool:
        engine = pool.engine_for(run_config("model.context_length=100"))
        assert (engine.name, engine.context_length) == ("hf", 100), "known without one"
        engine.sleep()  # type: ignore[attr-defined]
        engine.close()
    assert said == []


def test_another_kind_stops_the_first(said: list[str]) -> None:
    with EnginePool() as pool:
        for overrides in (["model.dtype=float32"], ["model.dtype=bfloat16"], ["model.dtype=float32"]):
            answer(pool.engine_for(run_config(*overrides)))
    assert said == ["start 0", "stop 0", "start 1", "stop 1", "start 2", "stop 2"]


def test_before_training(said: list[str]) -> None:
    with EnginePool() as pool:
        engine = pool.engine_for(run_config("engine.lifetime=sleep"))
        answer(engine)
        engine.sleep()  # type: ignore[attr-defined]
        assert said == ["start 0", "sleep 0"]
        pool.engine_for(run_config("engine.lifetime=sleep", "model.dtype=float32")).sleep()  # type: ignore[attr-defined]
        assert said == ["start 0", "sleep 0"], "the engine of another run sleeps for that run alone"
        engine = pool.engine_for(run_config("engine.lifetime=restart"))
        answer(engine)
        engine.close()
        assert said[-1] == "stop 1"


def test_what_an_engine_is_started_with() -> None:
    plain = engine_key(run_config())
    assert engine_key(run_config("seed=5", "temperature.input=1.0", "task=micro_find_food")) == plain
    for other in ("finetuning.rank=4", "engine.batch_tokens=1024", "model.context_length=512"):
        assert engine_key(run_config(other)) != plain

"""The streaming schedule: the same candidates however fast and in whatever order answers come."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Completion, Request
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import LanguageModel
from selfguide.store import Journal
from selfguide.synthesis.inputs import InputProposer
from selfguide.synthesis.streaming import Clock
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config

TASK = TaskSpec(
    "toy", "classification", "Say yes or no.", (Example("one two", "yes"), Example("three", "no")), ("yes", "no")
)


def answer(prompt: str, seed: int, sample: int) -> str:
    """A text that depends on what the prompt shows, so that another pool gives other candidates."""
    stream = random.Random(f"{hash_of(prompt)}-{seed}")
    return " ".join(stream.choice(["alpha", "beta", "gamma", "delta"]) for _ in range(stream.randint(1, 9)))


def hash_of(text: str) -> int:
    return sum(place * ord(character) for place, character in enumerate(text))


class SlowStream:
    """Answers word by word, at a pace that `noise` decides: an engine whose timing differs from run to run."""

    def __init__(self, engine: "StreamingEngine", noise: int) -> None:
        self.engine, self.noise = engine, random.Random(noise)
        self.under_way: dict[int, tuple[Completion, int]] = {}

    def submit(self, key: int, request: Request) -> None:
        [[completion]] = self.engine.generate([request])
        self.engine.most = max(self.engine.most, len(self.under_way) + 1)
        self.under_way[key] = (completion, 0)

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        keys = list(self.under_way)
        self.noise.shuffle(keys)
        for key in keys[: self.noise.randint(1, len(keys))]:
            completion, words = self.under_way.pop(key)
            length = len(completion.text.split())
            words = min(length, words + self.noise.randint(0, 3))
            if words == length:
                yield key, length, completion
            else:
                self.under_way[key] = (completion, words)
                yield key, words, None


class StreamingEngine(ScriptedEngine):
    def __init__(self, noise: int) -> None:
        tokenizer = load_prompt_tokenizer(run_config("task=task1516").model)
        super().__init__(tokenizer.decode, answer)
        self.noise, self.most = noise, 0

    @contextmanager
    def stream(self) -> Iterator[SlowStream]:
        yield SlowStream(self, self.noise)


def run(engine: ScriptedEngine, journal: Path, *overrides: str) -> list[tuple[str, str, str | None]]:
    config = run_config(
        "task=task1516", "generation.schedule=streaming", "generation.rounds=10", "generation.prompts_per_round=6",
        "generation.target=null", "filters.input_length=off", *overrides,
    )  # fmt: skip
    proposer = InputProposer(LanguageModel(config, engine), TASK, config.generation, config.filters, 0.8, 0)
    with Journal(journal) as file:
        return [(c.id, c.input, c.dropped) for c in proposer.propose(file)]


def test_timing_changes_nothing(tmp_path: Path) -> None:
    runs = [
        run(StreamingEngine(noise), tmp_path / f"{noise}.jsonl", "generation.max_in_flight=7") for noise in range(5)
    ]
    assert len(runs[0]) == 60
    assert all(other == runs[0] for other in runs[1:])


def test_the_number_in_flight_is_part_of_the_result_and_is_kept(tmp_path: Path) -> None:
    engine = StreamingEngine(0)
    narrow = run(engine, tmp_path / "a.jsonl", "generation.max_in_flight=3")
    assert engine.most == 3
    wide = run(StreamingEngine(0), tmp_path / "b.jsonl", "generation.max_in_flight=20")
    assert {c[0] for c in narrow} == {c[0] for c in wide}
    assert narrow != wide


@pytest.mark.parametrize("kept", [1, 4, 9])
def test_a_killed_run_ends_in_the_same_candidates(tmp_path: Path, kept: int) -> None:
    whole = run(StreamingEngine(1), tmp_path / "whole.jsonl", "generation.max_in_flight=7")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_text("".join(lines[:kept]))
    engine = StreamingEngine(2)
    assert run(engine, tmp_path / "torn.jsonl", "generation.max_in_flight=7") == whole
    assert len(engine.prompts) == 60 - 6 * kept, "what was judged is not asked again"


def test_an_engine_without_streaming_answers_in_waves(tmp_path: Path) -> None:
    tokenizer = load_prompt_tokenizer(run_config("task=task1516").model)
    engine = ScriptedEngine(tokenizer.decode, answer)
    found = run(engine, tmp_path / "a.jsonl", "generation.max_in_flight=16")
    assert len(found) == 60
    assert engine.batches == [16, 16, 16, 12]


def test_a_target_ends_the_stream(tmp_path: Path) -> None:
    engine = StreamingEngine(0)
    found = run(engine, tmp_path / "a.jsonl", "generation.max_in_flight=4", "generation.target=10")
    accepted = sum(dropped is None for _, _, dropped in found)
    assert 10 <= accepted <= 13
    assert len(found) < 60


def test_nobody_is_judged_before_one_who_may_end_earlier() -> None:
    clock = Clock()
    clock.start(0)
    clock.start(1)
    clock.end(1, 5, "b")
    clock.seen(0, 3)
    assert clock.release() is None, "0 may end at tick 4"
    clock.seen(0, 4)
    assert clock.release() is None, "0 may end at tick 5, and goes first then"
    clock.seen(0, 5)
    assert clock.release() == (1, 5, "b")
    assert (clock.now, len(clock)) == (5, 1)

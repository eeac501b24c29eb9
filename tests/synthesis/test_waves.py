"""The loop's schedule of requests: what is sent again, what fits the context, where a budget ends it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfguide.config.loop import JudgeConfig, LoopConfig
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Sampling
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import ConditionedPrompt, JointPrompt
from selfguide.store import Journal
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.generator import Generator
from selfguide.synthesis.judge import loop_judge
from selfguide.synthesis.proposals import ProposalPrompt, ProposalRequest
from selfguide.synthesis.waves import propose_in_waves
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1", "method=zerogen")
TOKENIZER = load_prompt_tokenizer(CONFIG.model)
LABELS = ("good", "bad")
TASK = TaskSpec("t", "classification", "Good or bad?", (Example("x", "good"), Example("y", "bad")), LABELS)
ROOM = 10
LONG = "Write an input of this task, one that nobody has ever seen anywhere before, at any time"
NO_BOUND, PLAIN = CallBudget(), ConditionedPrompt("?", "good")


class Waves:
    """A run of some requests; a reply is `answer(number of the call)`."""

    def __init__(self, folder: Path, answer: Callable[[int], str], context: int = 4096, **propose: object) -> None:
        assert isinstance(CONFIG.method, LoopConfig)
        folder.mkdir(exist_ok=True)
        known = CONFIG.method.propose
        draw = replace(known.draw, max_new_tokens=ROOM)
        self.config = replace(known, draw=draw, **{"attempts": 2, "batch": 3, **propose})  # type: ignore[arg-type]
        self.seeds: list[int] = []

        def reply(prompt: str, seed: int, sample: int) -> str:
            self.seeds.append(seed)
            return answer(len(self.seeds) - 1)

        self.engine = ScriptedEngine(TOKENIZER.decode, reply, context)
        rules = JudgeConfig(False, 0, None, False, None, None, "cumulative")
        self.journal = Journal(folder / "journal.jsonl")
        self.generator = Generator(
            LanguageModel(CONFIG, self.engine),
            Sampling(ROOM, 1.0),
            SeedStream(0),
            loop_judge(TASK, rules, None, ()),
            self.journal,
        )

    def run(self, sent: list[ProposalRequest], budget: CallBudget = NO_BOUND, each: int = 0) -> list[Candidate]:
        with self.journal:
            return propose_in_waves(self.generator, sent, self.config, budget, each)


def requests(many: int, prompt: ProposalPrompt = PLAIN, **more: Any) -> list[ProposalRequest]:
    return [ProposalRequest(f"0-{n}", prompt, 0, label="good", inherits=True, **more) for n in range(many)]


def test_what_was_dropped_is_asked_again_with_another_seed(tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda call: "" if call % 2 == 0 and call < 4 else f"text {call}", attempts=3)
    made = waves.run(requests(4))
    assert [one.id for one in made] == ["0-0-0", "0-1-0", "0-2-0", "0-3-0", "0-0-1", "0-2-1"]
    assert [one.dropped for one in made] == ["empty", None, "empty", None, None, None]
    assert waves.engine.batches == [3, 1, 2]
    assert len(set(waves.seeds)) == 6


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_attempts_are_bounded(attempts: int, tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda _: "", attempts=attempts)
    assert [one.dropped for one in waves.run(requests(2))] == ["empty"] * 2 * attempts


@pytest.mark.parametrize(
    ("calls", "each", "sent"), [(5, 0, 5), (7, 0, 7), (9, 0, 7), (5, 1, 2), (6, 1, 3), (8, 3, 2), (3, 3, 0), (0, 0, 0)]
)
def test_a_budget_pays_for_items_with_their_answers(calls: int, each: int, sent: int, tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda call: f"text {call}", attempts=1)
    assert len(waves.run(requests(7), CallBudget(calls), each)) == len(waves.seeds) == sent


def test_a_dropped_item_leaves_its_answers_to_others(tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda call: "" if call < 2 else f"text {call}", attempts=1, batch=1)
    made = waves.run(requests(7), CallBudget(8), 2)
    assert [one.dropped for one in made] == ["empty", "empty", None, None], "two calls of 1, two of 1 + 2"


def test_no_batch_begins_once_the_tokens_are_spent(tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda call: f"text {call}", attempts=1, batch=2)  # six characters an answer
    assert len(waves.run(requests(6), CallBudget(None, 13))) == 4


def test_a_prompt_is_shortened_until_it_fits_to_the_token(tmp_path: Path) -> None:
    full = ConditionedPrompt(LONG, "good", examples=TASK.demonstrations)
    length = len(TOKENIZER.encode_prompt(full))
    shorter = full.shorter()
    assert shorter is not None and length + ROOM >= 4 * ROOM
    for spare, expected in ((0, full), (-1, shorter)):
        waves = Waves(tmp_path / str(spare), lambda call: f"text {call}", length + ROOM + spare)
        waves.run(requests(1, full))
        assert waves.engine.prompts == [TOKENIZER.decode(TOKENIZER.encode_prompt(expected))]


def test_a_prompt_that_never_fits_is_dropped_with_its_reason(tmp_path: Path) -> None:
    bare = ConditionedPrompt(LONG, "good")
    length = len(TOKENIZER.encode_prompt(bare))
    for spare, expected in ((0, [None]), (-1, ["prompt_too_long"] * 2)):
        waves = Waves(tmp_path / str(spare), lambda call: f"text {call}", length + ROOM + spare)
        assert [one.dropped for one in waves.run(requests(1, bare))] == expected


@pytest.mark.parametrize(("grow", "asked"), [(True, [3, 4, 5]), (True, [9, 10, 10]), (False, [3, 3, 3])])
def test_a_joint_prompt_asks_for_what_is_missing_or_for_more(grow: bool, asked: list[int], tmp_path: Path) -> None:
    waves = Waves(tmp_path, lambda _: "nothing", attempts=3, grow=grow)
    joint = JointPrompt("?", TASK.demonstrations[0], TASK.demonstrations)
    waves.run(requests(1, joint, count=asked[0]))
    counts = [replace(joint, count=count, kept=()) for count in asked]
    assert waves.engine.prompts == [TOKENIZER.decode(TOKENIZER.encode_prompt(prompt)) for prompt in counts]


def test_surplus_items_of_a_joint_reply_are_dropped_as_such(tmp_path: Path) -> None:
    reply = "one more\nOutput: good\n\nInput: two more\nOutput: bad\n\nInput: three more\nOutput: good"
    waves = Waves(tmp_path, lambda _: reply, attempts=1)
    made = waves.run(requests(1, JointPrompt("?", TASK.demonstrations[0], count=1), count=2))
    assert [(one.output, one.dropped) for one in made if one.dropped in (None, "surplus")] == [
        ("good", None), ("bad", None), ("good", "surplus"),
    ]  # fmt: skip


def test_every_other_attempt_shows_what_was_kept(tmp_path: Path) -> None:
    """An attempt that shows nothing may find what the shown ones led away from."""
    waves = Waves(tmp_path, lambda call: f"text {call}\nOutput: good", attempts=4, batch=1)
    waves.run(requests(1, JointPrompt("Write."), count=4))
    assert ["text" in said for said in waves.engine.prompts] == [False, True, False, True]

"""Which instances are chosen, which system's answers are whose, and which settings intervals and tests obey."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.evaluate import choose_instances, evaluate, gain, scored
from selfguide.evaluation.predict import BASE, Prediction, System
from selfguide.evaluation.statistics import bootstrap_mean, paired_gain
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import Session
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1")
TASK = TaskSpec("t", "generation", "Say it.", (Example("one", "1"), Example("two", "2")))
ROWS = [Instance(str(number), f"word {number}", (f"word {number}",)) for number in range(20)]


def answered(right: Sequence[int]) -> tuple[Prediction, ...]:
    return tuple(Prediction(row.id, row.input if int(row.id) in right else "wrong") for row in ROWS)


def test_instances_are_a_seeded_choice_in_their_order() -> None:
    assert (
        choose_instances(ROWS, None, 0) == choose_instances(ROWS, 20, 0) == choose_instances(ROWS, 99, 0) == tuple(ROWS)
    )
    some = {seed: choose_instances(ROWS, 6, seed) for seed in range(4)}
    assert all(len(chosen) == 6 and list(chosen) == sorted(chosen, key=ROWS.index) for chosen in some.values())
    assert len(set(some.values())) == 4 and choose_instances(ROWS, 6, 1) == some[1]


@pytest.mark.parametrize(("resamples", "confidence"), [(200, 0.95), (500, 0.8)])
def test_intervals_and_tests_obey_their_settings(resamples: int, confidence: float) -> None:
    config = replace(CONFIG.evaluation, bootstrap=resamples, confidence=confidence)
    base, tuned = (scored(TASK, ROWS, answered(right), config) for right in (range(4), range(2, 15)))
    assert (sum(base.scores), sum(tuned.scores)) == (4, 13)
    for one in (base, tuned):
        assert one.score == bootstrap_mean(one.scores, resamples=resamples, confidence=confidence)
    assert gain(base, tuned, config) == paired_gain(
        tuned.scores, base.scores, resamples=resamples, confidence=confidence
    )
    assert gain(base, tuned, config).value == pytest.approx(9 / 20)


def test_every_system_gets_its_own_answers_and_the_same_one_is_asked_once(tmp_path: Path) -> None:
    tokenizer = load_prompt_tokenizer(CONFIG.model)

    def answer(prompt: str, seed: int, sample: int) -> str:
        return prompt.rsplit("Input: ", 1)[1].split("\n")[0] if "Input: one\n" in prompt else "wrong"

    engine = ScriptedEngine(tokenizer.decode, answer)
    config = run_config("task=sni", "task.id=task1", f"store.root={tmp_path}")
    systems = {"all": BASE, "again": System(), "none": System(demonstrations=())}
    with Session(config, TASK, Terminal(Console(file=io.StringIO())), None, engine) as session:
        found = evaluate(session, "tuned", ROWS[:5], systems)
    assert {name: sum(one.scores) for name, one in found.items()} == {"all": 5, "again": 5, "none": 0}
    assert len(engine.prompts) == 10

"""As many different texts as were asked for, and no call for those that are there."""

from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.config.loop import LoopConfig
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example, TaskSpec
from selfguide.models.session import LanguageModel
from selfguide.store import Journal
from selfguide.synthesis.attributes import ask_attributes
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER

SHOWN = (Example("the soup", "good"), Example("the bread", "bad"))
TASK = TaskSpec("mood", "classification", "Good or bad?", SHOWN, ("good", "bad"))
ITEMS = 5
METHODS = {"a reply each": "zerogen", "one reply lists them": "s3"}


@pytest.mark.parametrize("name", METHODS)
def test_the_first_different_ones_and_calls_for_what_is_missing(name: str, tmp_path: Path) -> None:
    config = run_config(f"method={METHODS[name]}", f"method.attributes.items={ITEMS}", "method.attributes.attempts=4")
    assert isinstance(config.method, LoopConfig)
    listed, asked = METHODS[name] == "s3", 0
    config = replace(config, model=replace(config.model, prompt_format="turns" if listed else "plain"))

    def answer(prompt: str, seed: int, sample: int) -> str:
        """Every other reply repeats what is known; a list has nine."""
        nonlocal asked
        asked += 1
        first = asked // 2
        return "\n".join(f"- text {first + number}" for number in range(9 if listed else 1))

    engine = ScriptedEngine(TOKENIZER.decode, answer)
    with Journal(tmp_path / "journal.jsonl") as journal:
        pool = ask_attributes(LanguageModel(config, engine), TASK, config.method, SeedStream(0, ()), journal)
    if listed:
        assert {label: len(texts) for label, texts in pool.reasons.items()} == {"good": ITEMS, "bad": ITEMS}
        assert asked == len(TASK.labels), "a list has them all"
    else:
        assert pool.conditions == tuple(f"text {number}" for number in range(ITEMS))
        assert engine.batches[0] == ITEMS > engine.batches[1], "what is there is not asked for again"

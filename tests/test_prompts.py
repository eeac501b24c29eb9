"""The prompts are pinned: a changed character changes every result."""

from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.core.types import Example, TaskSpec
from selfguide.models.stopping import StopStrings
from selfguide.prompts.rendered import BYTES_OF_A_TOKEN, Rendered
from selfguide.prompts.selfguide import InputPrompt, answer_prompt, plain_completion
from tests.prompt_files import prompt_files

GOLDEN = Path(__file__).parent / "golden"
TASK = TaskSpec(
    name="mood",
    family="classification",
    instruction="Is the review positive or negative?",
    demonstrations=(Example("I loved it.", "positive"), Example("A waste of time.", "negative")),
    labels=("positive", "negative"),
)


PROMPTS = {
    "answer": answer_prompt(TASK, "It was fine."),
    "input": InputPrompt(TASK.instruction, TASK.demonstrations),
    "input_label_drafts": InputPrompt(
        TASK.instruction, TASK.demonstrations, drafts=("Good film.", "Bad film."), label="negative", show_outputs=True
    ),
}
RENDERED = prompt_files(PROMPTS)


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_prompt_is_the_golden_one(name: str) -> None:
    assert RENDERED[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_checked() -> None:
    assert {path.name for path in GOLDEN.glob("*.txt")} == set(RENDERED)


def test_answer_prompt_holds_all_demonstrations_unless_told() -> None:
    assert answer_prompt(TASK, "x").demonstrations == TASK.demonstrations
    assert answer_prompt(TASK, "x", TASK.demonstrations[:1]).demonstrations == TASK.demonstrations[:1]


def test_no_demonstrations_are_none_at_all() -> None:
    assert answer_prompt(TASK, "x", ()).demonstrations == ()
    assert answer_prompt(TASK, "x", ()).plain() == f"Task: {TASK.instruction}\n\nInput: x\nOutput:"


@pytest.mark.parametrize("name", list(PROMPTS))
def test_a_model_that_goes_on_to_the_next_field_is_cut_there(name: str) -> None:
    """By the names of all fields that begin a line of the prompt itself."""
    prompt = PROMPTS[name]
    fields = {line.partition(":")[0] for line in prompt.plain().splitlines() if line.partition(":")[1]} - {"New inputs"}
    assert {"Task", "Input"} <= fields
    for field in fields:
        assert StopStrings(None, prompt.stop).cut(f" an answer\n{field}: more") == " an answer"


def test_a_plain_answer_follows_its_prompt_as_the_demonstrations_do() -> None:
    prompt = answer_prompt(TASK, "x")
    assert f"{prompt.plain()}{plain_completion('positive')}".endswith("Input: x\nOutput: positive")
    assert "Output: positive\n" in prompt.plain()


def test_chat_turns_alternate_and_end_with_the_user() -> None:
    roles = [turn.role for turn in answer_prompt(TASK, "x").turns()]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_a_prompt_that_is_too_long_loses_its_last_draft() -> None:
    prompt: InputPrompt | None = PROMPTS["input_label_drafts"]  # type: ignore[assignment]
    shown = []
    while prompt is not None:
        shown.append(prompt.drafts)
        prompt = prompt.shorter()
    assert shown == [("Good film.", "Bad film."), ("Good film.",), ()]


@pytest.mark.parametrize("text", ["a", "plain words", "Straße", "映画はよかった", "🎬"])
def test_turns_are_guessed_by_the_bytes_of_their_text(text: str) -> None:
    size = Rendered.in_turns(answer_prompt(replace(TASK, demonstrations=()), text)).size
    longer = Rendered.in_turns(answer_prompt(replace(TASK, demonstrations=()), text * 31)).size
    assert longer - size == pytest.approx(30 * len(text.encode()) / BYTES_OF_A_TOKEN, abs=1)

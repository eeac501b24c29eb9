"""The neighbours' prompts are pinned, plain and chat; and what a base model is asked in keeps to two known layouts."""

from pathlib import Path

import pytest

from selfguide.core.types import Example
from selfguide.prompts.neighbours import (
    ConditionedPrompt,
    ConditionPrompt,
    ExtrapolationPrompt,
    JointPrompt,
    NewInstancesPrompt,
    ReasonPrompt,
    hinted_prompt,
)
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, Prompt
from selfguide.prompts.verdict import verdict_prompt
from tests.prompt_files import prompt_files

GOLDEN = Path(__file__).parent / "golden"
TASK = "Is the review positive or negative?"
SHOWN = (Example("I loved it.", "positive"), Example("A waste of time.", "negative"))
ERROR = Example("Not bad at all.", "positive")
START = "Premise: It rains.\nHypothesis:"
PROMPTS: dict[str, Prompt] = {
    "reasons": ReasonPrompt(TASK, "negative", SHOWN, 5),
    "condition": ConditionPrompt(TASK),
    "condition_fixed_part": ConditionPrompt(TASK, SHOWN, "\nHypothesis:"),
    "condition_named_part": ConditionPrompt(TASK, SHOWN, "\nHypothesis:", "Premise:"),
    "conditioned": ConditionedPrompt(TASK, "negative", "a film about bees"),
    "conditioned_reasons": ConditionedPrompt(TASK, "negative", reasons=("it is dull", "it is long"), open_quote=True),
    "conditioned_feedback": ConditionedPrompt(TASK, "negative", "bees", (), (), SHOWN[1:]),
    "conditioned_fixed_part": ConditionedPrompt(TASK, "entailment", start=START),
    "extrapolation": ExtrapolationPrompt(TASK, ERROR, "positive", SHOWN),
    "extrapolation_unlabelled": ExtrapolationPrompt(TASK, ERROR),
    "extrapolation_fixed_part": ExtrapolationPrompt(TASK, Example(f"{START} It snows.", "no"), "no", start=START),
    "joint": JointPrompt(TASK, ERROR, SHOWN, "negative", (Example("Quite good.", "positive"),), count=3),
    "joint_without_output": JointPrompt(TASK, ERROR, show_gold=False),
    "hinted": hinted_prompt("Solve it.", ((Example("1 + 1?", "One and one.\n#### 2"), "2"),), "3 + 4?", "7"),
    "verdict": verdict_prompt(TASK, ((SHOWN[0], True), (Example(SHOWN[0].input, "negative"), False)), ERROR),
    "new_instances": NewInstancesPrompt(TASK, "Not bad at all.", 3),
}


RENDERED = prompt_files(PROMPTS)


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_prompt_is_the_golden_one(name: str) -> None:
    assert RENDERED[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_checked() -> None:
    assert {path.name for path in GOLDEN.glob("*.txt")} == set(RENDERED)


def test_plain_texts_keep_to_the_layouts_a_base_model_knows() -> None:
    shown = (*SHOWN, ERROR)
    asked = InputPrompt(TASK, shown, (), "positive", show_outputs=True).plain()
    assert PROMPTS["extrapolation"].plain() == asked
    joint = JointPrompt(TASK, ERROR, SHOWN).plain()
    assert joint == AnswerPrompt(TASK, shown, "x").plain().removesuffix(" x\nOutput:")


def test_shorter_prompts_end_with_nothing_left_to_take() -> None:
    prompt: JointPrompt | None = JointPrompt(TASK, ERROR, SHOWN, kept=SHOWN)
    lengths = []
    while prompt is not None:
        lengths.append(len(prompt.plain()))
        prompt = prompt.shorter()
    assert lengths == sorted(lengths, reverse=True) and len(lengths) == 5
    assert ConditionedPrompt(TASK, "negative").shorter() is None


def test_a_joint_prompt_does_not_stop_at_its_output() -> None:
    assert not [stop for stop in PROMPTS["joint"].stop if "Output" in stop or "Input" in stop]

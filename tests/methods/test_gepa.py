"""GEPA, by its own package: a better instruction is found, kept and answered with; otherwise the task's own stays."""

import json
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError
from tests.composing import run_config
from tests.methods.running import Ran, scripted
from tests.tiny_task import COLORS, write_task

pytest.importorskip("gepa", reason="pip install selfguide[gepa]")
BETTER = "Answer with the color word and nothing else."
SMALL = ("method=gepa", "method.calls=20", "method.max_new_tokens=40")


def student(prompt: str, seed: int, sample: int) -> str:
    """Knows the colour only when told to say nothing else; proposes that instruction when asked for one."""
    if "write a new instruction" in prompt:
        assert "The correct output is: " in prompt
        return f"```\n{BETTER}\n```"
    asked = prompt.rsplit("Input:", 1)[1]
    colour = next(color for color in COLORS if color in asked)
    return colour if prompt.startswith(f"Task: {BETTER}") else f"The color is {colour}."


def stubborn(prompt: str, seed: int, sample: int) -> str:
    return "```\nSing.\n```" if "write a new instruction" in prompt else "I do not know."


def ran(folder: Path, answer: object, *more: str, name: str = "run") -> Ran:
    overrides = (*SMALL, "task.metric=exact_match", *more)
    return scripted(folder, answer, *overrides, classification=False, loop=False, name=name)  # type: ignore[arg-type]


def test_the_instruction_that_its_examples_prefer_answers(tmp_path: Path) -> None:
    run = ran(tmp_path, student)
    found = run.result["diagnostics"]["gepa"]
    assert (found["instruction"], found["score"], found["first_score"]) == (BETTER, 1.0, 0.0)
    assert (run.result["score"]["value"], run.result["baseline"]["value"]) == (1.0, 0.0)
    assert not run.result["claims_gold"] and run.result["counts"]["train"] == 0
    scored = {row["input"] for row in run.rows("predictions")}
    reflected = [prompt for prompt in run.engine.prompts if "write a new instruction" in prompt]
    assert reflected and not any(text in prompt for text in scored for prompt in reflected)


def test_no_demonstration_is_answered_with_itself_in_the_prompt(tmp_path: Path) -> None:
    run = ran(tmp_path, student)
    shown = [row["input"] for row in json.loads(write_task(tmp_path).read_text())["examples"]]
    asked = [prompt for prompt in run.engine.prompts if prompt.endswith("Output:")]
    own = [prompt for prompt in asked for text in shown if prompt.rsplit("Input: ", 1)[1].startswith(text)]
    assert own and all(prompt.count(prompt.rsplit("Input: ", 1)[1].split("\n")[0]) == 1 for prompt in own)


def test_what_is_half_right_is_fed_back_as_wrong_and_each_proposal_is_drawn_anew(tmp_path: Path) -> None:
    """By ROUGE-L the colour in a sentence is worth something."""

    seeds = []

    def talks(prompt: str, seed: int, sample: int) -> str:
        if "write a new instruction" in prompt:
            assert "Wrong. The correct output" in prompt and "Right. The correct output" not in prompt
            seeds.append(seed)
            return f"```\nSay it {seed}.\n```"
        return f"It is {next(color for color in COLORS if color in prompt.rsplit('Input:', 1)[1])}."

    run = ran(tmp_path, talks, "method.calls=30", "task.metric=rouge_l")
    assert 0 < run.result["diagnostics"]["gepa"]["first_score"] < 1
    assert len(set(seeds)) == len(seeds) > 1


def test_without_a_better_one_the_tasks_own_answers_and_the_run_says_so(tmp_path: Path) -> None:
    run = ran(tmp_path, stubborn)
    assert run.result["score"] == run.result["baseline"]
    assert any("no better instruction" in warning for warning in run.result["warnings"])


def test_gold_examples_are_claimed_and_never_scored(tmp_path: Path) -> None:
    run = ran(tmp_path, student, "method.examples=gold", "method.items=5", "evaluation.split=test")
    assert run.result["claims_gold"] and run.result["diagnostics"]["gepa"]["score"] == 1.0


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = ran(tmp_path, student, name="whole")
    answered = 0

    def dying(prompt: str, seed: int, sample: int) -> str:
        nonlocal answered
        answered += 1
        if "write a new instruction" in prompt:
            raise KeyboardInterrupt
        return student(prompt, seed, sample)

    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path, dying, name="cut")
    cut = ran(tmp_path, student, name="cut")
    assert cut.result["diagnostics"] == whole.result["diagnostics"]
    assert cut.result["tokens"]["prompt"] == whole.result["tokens"]["prompt"]
    assert len(cut.engine.prompts) < len(whole.engine.prompts)


def test_too_few_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^method\.calls: "):
        run_config("method=gepa", "method.calls=0")

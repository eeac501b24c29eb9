"""S3 and LLM2LLM with a chat teacher: their requests reach the server as turns, and its replies become the data.

Against a server of the test's own, whose requests are pinned; `tests/models/test_openai_serve.py` has a real one.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.types import Example
from selfguide.pipeline import run
from selfguide.prompts.neighbours import ExtrapolationPrompt, JointPrompt, ReasonPrompt
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import LOOP, QUIET, TOKENIZER, Ran
from tests.methods.test_loop import student
from tests.models.failing_server import FailingServer, failing_server
from tests.tiny_task import smoke, write_task

TEACHER = (
    "teacher=chat",
    "teacher.model.path=gpt-3.5-turbo",
    "teacher.engine.retries=0",
    "teacher.engine.concurrency=1",
)
S3 = ("method=s3", "method.initial_data.items=12", "method.attributes.items=3", "method.loop.rounds=1")
LLM2LLM = ("method=llm2llm", "method.initial_data.share=null", "method.initial_data.items=10", "method.loop.rounds=1")


class Teacher:
    """Answers in the manner of a chat model, and counts what it is asked."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = body["messages"][-1]["content"]
        self.number += 1
        label = (re.findall(r'output must be "(\w+)"', asked) or ["dark"])[0]
        thing = f"Eva has the {'black' if label == 'dark' else 'white'} kite number {self.number}."
        text = f'"{thing}"'
        if "different reasons" in asked:
            text = "\n".join(f"- reason {self.number}.{index}" for index in range(3))
        elif "practice problems" in asked:
            text = f"1. **Input:** {thing}\n**Output:** {label}"
        return {
            "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": len(asked), "completion_tokens": len(text)},
        }


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as state:
        state.answer = Teacher()  # type: ignore[method-assign]
        yield state


def taught(folder: Path, address: str, *overrides: str) -> Ran:
    """A run whose student is scripted, and whose teacher is behind the address."""
    task = write_task(folder, classification=True)
    engine = ScriptedEngine(TOKENIZER.decode, lambda prompt, *_: student(prompt))
    more = (*QUIET, *LOOP, *TEACHER, f"teacher.engine.base_url={address}", *overrides)
    config = run_config(*smoke(task, folder / "store", *more))
    run(config, folder / "run", Terminal(Console(file=io.StringIO())), engine)
    return Ran(folder / "run", engine)


def sent(server: FailingServer, part: str) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.bodies if part in body["messages"][-1]["content"]]


def test_s3_asks_for_reasons_and_for_inputs_like_the_errors(server: FailingServer, tmp_path: Path) -> None:
    ran = taught(tmp_path, server.url, *S3)
    instruction = json.loads((tmp_path / "shade.json").read_text())["instruction"]
    reasons = {ReasonPrompt(instruction, label, (), 3).turns()[0].text for label in ("dark", "light")}
    assert set(sent(server, "different reasons")) == reasons
    added = [row for row in ran.rows("candidates") if row["round"] == 1]
    errors = {row["exemplar"] for row in added}
    extrapolated = sent(server, "similar to it but no copy")
    prompts = [ExtrapolationPrompt(instruction, Example(text, "dark"), "dark") for text in errors]
    assert errors and set(extrapolated) == {prompt.turns()[0].text for prompt in prompts}
    assert all(body["model"] == "gpt-3.5-turbo" and body["logprobs"] for body in server.bodies)
    assert {row["output"] for row in ran.rows("dataset")} == {"dark", "light"}
    assert all('"' not in row["input"] for row in ran.rows("dataset"))
    counted = [ran.result["tokens"][name] for name in ("plan", "proposals_0", "proposals_1")]
    asked = sum(len(body["messages"][-1]["content"]) for body in server.bodies)
    assert sum(tokens["prompt"] for tokens in counted) == asked, "as the server counts"


def test_llm2llm_shows_the_error_and_asks_for_a_new_problem(server: FailingServer, tmp_path: Path) -> None:
    ran = taught(tmp_path, server.url, *LLM2LLM)
    instruction = json.loads((tmp_path / "shade.json").read_text())["instruction"]
    made = [row for row in ran.rows("candidates") if row["dropped"] is None]
    first = {JointPrompt(instruction, Example(row["exemplar"], "dark")).turns()[0].text for row in made}
    assert made and first <= set(sent(server, "The student failed on this one"))
    assert {row["input"] for row in made} <= {row["input"] for row in ran.rows("dataset")}


def test_prompts_that_the_server_has_no_room_for_are_dropped(server: FailingServer, tmp_path: Path) -> None:
    server.refusal = "maximum context length is 10 tokens. However, your prompt contains 99 input tokens"
    server.plan = [200, 200, 400, 400]
    ran = taught(tmp_path, server.url, *S3)
    assert [row["dropped"] for row in ran.rows("candidates")].count("prompt_too_long") == 2

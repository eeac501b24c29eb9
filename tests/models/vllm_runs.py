"""vLLM in the tests: its configuration, its server, and prompts of real length."""

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from selfguide.config.schema import RunConfig
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt
from tests.composing import run_config

CONTEXT = 300
START_S = 400


def vllm_config(*overrides: str) -> RunConfig:
    """A run on the bundled model in float32 with engine=vllm."""
    return run_config("task=task1516", "engine=vllm", "model.dtype=float32", *overrides)


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until a server that was just started answers."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(url, timeout=10).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(f"vllm serve did not start: {log.read_text()[-2000:]}")


def prompts_of_tasks() -> list[AnswerPrompt]:
    """200 few-shot prompts: 5 tasks of 40 inputs each."""
    things = ["cup", "hat", "old car", "door", "small boat", "lamp", "coat", "bird", "house", "apple"]
    colours = ["red", "blue", "green", "white"]
    texts = [f"The {thing} that Anna brought is {colour}." for thing in things for colour in colours]
    shots = ["A box on the table is yellow.", "Tom saw the black horse.", "The grass near the lake is green."]
    tasks = {
        "Name the colour in the sentence.": ["yellow", "black", "green"],
        "Write the sentence in capital letters.": [shot.upper() for shot in shots],
        "Say yes if the sentence names a person, otherwise no.": ["no", "yes", "no"],
        "Copy the last word of the sentence.": ["yellow", "horse", "green"],
        "Count the words of the sentence.": [str(len(shot.split())) for shot in shots],
    }
    return [
        AnswerPrompt(instruction, tuple(map(Example, shots, answers)), text)
        for instruction, answers in tasks.items()
        for text in texts
    ]

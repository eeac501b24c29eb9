"""vLLM in the tests: its configuration, and prompts of real length."""

from selfguide.config.schema import RunConfig
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt
from tests.composing import run_config

CONTEXT = 300


def vllm_config(*overrides: str) -> RunConfig:
    """A run on the bundled model in float32 with engine=vllm."""
    return run_config("task=task1516", "engine=vllm", "model.dtype=float32", *overrides)


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

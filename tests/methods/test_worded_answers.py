"""A teacher that words every solution anew: the votes agree on the number, and right solutions are trained on."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.methods.running import Ran, scripted

GSM8K = ("task.metric=numeric_match", "task.family=generation", "filters.output_length=off", "annotation.min_share=0.5")
WORDS = ("We add", "Adding gives", "First take", "Together", "In all", "Summing up", "She then has", "Count")


def problem(first: int, second: int) -> str:
    return f"Ann has {first} pears and buys {second} more. How many pears has she?"


def write_task(folder: Path) -> Path:
    rows = [
        {"input": problem(n, n + 2), "output": f"She has {n} + {n + 2} pears.\n#### {2 * n + 2}"} for n in range(1, 40)
    ]
    task = {"instruction": "Solve the problem.", "examples": rows[:3], "instances": rows[3:]}
    path = folder / "pears.json"
    path.write_text(json.dumps(task))
    return path


def solution(prompt: str, seed: int, sample: int, wrong: bool) -> str:
    numbers = [int(number) for number in re.findall(r"\d+", prompt.rsplit("Input:", 1)[1])]
    way = f"{WORDS[(seed + sample) % len(WORDS)]}, way {seed % 997}-{sample}: " + " + ".join(map(str, numbers))
    return f"{way}.\n#### {sum(numbers) + (1 + sample) * wrong}"


def teacher(prompt: str, seed: int, sample: int) -> str:
    """One sample of five is wrong, each in another way."""
    if prompt.endswith("Output:"):
        return solution(prompt, seed, sample, wrong=sample % 5 == 4)
    new = problem(seed % 89 + 1, seed % 83 + 2)
    return f"{new}\nOutput: {solution(f'Input: {new}', seed, 0, wrong=False)}" if "New inputs" not in prompt else new


def failing_student(prompt: str, seed: int, sample: int) -> str:
    return "#### 0" if prompt.endswith("Output:") else teacher(prompt, seed, sample)


@pytest.mark.parametrize(
    ("answer", "overrides"),
    [
        (teacher, ("method=selfguide", "annotation.samples=5", "annotation.best_of=5")),
        (teacher, ("method=rest", "annotation.samples=5", "annotation.best_of=5")),
        (failing_student, ("method=llm2llm", "method.initial_data.share=null", "method.initial_data.items=5")),
    ],
    ids=["selfguide", "rest", "llm2llm"],
)
def test_the_data_set_is_right_and_not_empty(
    answer: Callable[[str, int, int], str], overrides: tuple[str, ...], tmp_path: Path
) -> None:
    loop = overrides[0] == "method=llm2llm"
    ran: Ran = scripted(tmp_path, answer, *GSM8K, *overrides, task=write_task(tmp_path), loop=loop)
    made = [row for row in ran.rows("candidates") if row["dropped"] is None and row["output"] is not None]
    assert len(made) >= 8 and len({row["output"].split(":")[0] for row in made}) > 4
    for row in made:
        assert row["output"].endswith(f"#### {sum(map(int, re.findall(r'[0-9]+', row['input'])))}")
        assert row["share"] in (None, 4 / 5)
    assert {row["input"] for row in ran.rows("dataset")} >= {row["input"] for row in made}

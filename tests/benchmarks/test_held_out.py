"""The benchmark is not in the corpus: no instruction, no label set, no instance, no sentence form."""

import random
import re

import pytest

from benchmarks.micro import forms
from benchmarks.micro.benchmark_tasks import TASKS
from benchmarks.micro.episodes import draw_episode
from benchmarks.micro.heldout import LABEL_WORDS, is_held_out
from benchmarks.micro.instructions import draw_instruction
from benchmarks.micro.labels import draw_labels
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.rules import ClassRule
from benchmarks.micro.scene import SLOT_GROUPS, parse

# Enough others: an episode takes up to nine names, and those of the benchmark are refused.
OTHERS = {"zu", "kor", "dog", "bel", "lom", "nir", "pos", "tuv", "wax", "yel", "que", "gam", "hin"}
PIECES = tuple(sorted({w for t in TASKS for label in t.rule.labels for w in (label, label[:3])} | OTHERS))


@pytest.fixture(scope="module")
def episodes() -> list[str]:
    rng = random.Random(7)
    return [draw_episode(rng, Mixture(), PIECES).text for _ in range(6000)]


def test_no_instruction(episodes: list[str]) -> None:
    shown = {text.split("\n", 1)[0].removeprefix("Task: ").split(" Labels:")[0] for text in episodes}
    assert len(shown) > 200
    assert not shown & {t.instruction for t in TASKS}


def test_no_label_set(episodes: list[str]) -> None:
    outputs = [set(re.findall(r"^Output: (.*)$", text, re.MULTILINE)) for text in episodes]
    for task in TASKS:
        if task.rule.labels:
            assert not any(set(task.rule.labels) <= found for found in outputs), task.name


def test_no_label_word_is_ever_a_label() -> None:
    rng = random.Random(3)
    for _ in range(3000):
        for name in draw_labels(rng, 2, PIECES):
            assert not {w.strip("[]") for w in name.lower().split()} & LABEL_WORDS


def test_no_instance(episodes: list[str]) -> None:
    shown = {pair for text in episodes for pair in re.findall(r"^Input: (.*)\nOutput: (.*)$", text, re.MULTILINE)}
    assert len(shown) > 10_000
    inputs = {text for text, _ in shown}
    for task in TASKS:
        instances = task.instances(0, 500)
        assert not shown & {(i.input, i.output) for i in instances}, task.name
        if task.rule.forms[0] in forms.HELD_OUT:
            assert not inputs & {i.input for i in instances}, task.name


def test_held_out_forms_are_never_used(episodes: list[str]) -> None:
    lines = random.Random(0).sample([line for text in episodes for line in text.splitlines()], 4000)
    texts = [line.split(": ", 1)[-1] for line in lines]
    wide = dict(SLOT_GROUPS)
    for form in forms.HELD_OUT:
        assert not any(parse(text, form, wide) for text in texts if len(text) > 20)


def test_what_a_task_calls_held_out_is() -> None:
    for task in TASKS:
        if isinstance(task.rule, ClassRule):
            assert all(w in LABEL_WORDS for label in task.rule.labels for w in label.split())
            assert is_held_out(task.rule.classes) == ("class pair" in task.held_out), task.name
            assert (task.rule.forms[0] in forms.HELD_OUT) == ("sentence form" in task.held_out), task.name


def test_instructions_name_no_benchmark_rule() -> None:
    rng = random.Random(0)
    asked = {task.instruction for task in TASKS}
    assert not {draw_instruction(rng, task.rule) for task in TASKS for _ in range(60)} & asked

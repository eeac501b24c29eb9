"""Tasks drawn from a seed: what they are made of, and that nothing of it is anywhere else."""

import json
import random
import re
import sys
from pathlib import Path

import pytest

from benchmarks.micro import drawn_tasks
from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.crowded import list_part
from benchmarks.micro.drawn_tasks import INSTANCES, SHOTS, draw_task, draw_tasks
from benchmarks.micro.grammar import valid_input
from benchmarks.micro.make_tasks import task_file
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.parts import Part, part_of, part_of_classes
from benchmarks.micro.purposes import draw_episode
from benchmarks.micro.rules import ClassRule
from benchmarks.micro.scene import parse, slots_of
from selfguide.core.errors import DataError
from selfguide.tasks.gold import GoldData

FROZEN = "0123456789abcdef" * 2 + "01234567"
PIECES = ("zu", "kor", "dog", "bel", "lom", "nir", "pos", "tuv", "wax", "yel", "que", "gam", "hin")


@pytest.fixture(scope="module")
def development() -> list[BenchmarkTask]:
    return draw_tasks("development", "0", 24)


@pytest.fixture(scope="module")
def drawn(development: list[BenchmarkTask]) -> dict[Part, list[BenchmarkTask]]:
    return {"development": development, "test": draw_tasks("test", FROZEN, 24)}


def test_a_task_is_a_function_of_part_seed_and_index(development: list[BenchmarkTask]) -> None:
    assert draw_task("development", 0, 7) == development[7]
    assert draw_tasks("development", "1", 8) != development[:8]
    assert draw_task("test", 0, 7).instruction != development[7].instruction


def test_test_tasks_wait_for_the_commit_that_froze_everything() -> None:
    with pytest.raises(DataError, match="0 is not allowed for test tasks"):
        draw_tasks("test", "0", 1)
    other = "f" + FROZEN[1:]
    assert draw_tasks("test", FROZEN, 8) != draw_tasks("test", other, 8)


def test_half_of_the_tasks_are_classification(development: list[BenchmarkTask]) -> None:
    assert [task.family for task in development].count("classification") == 12
    assert {task.name.split("_")[2] for task in development} >= {"kind", "value", "find"}


def test_a_task_is_made_of_what_its_part_keeps(drawn: dict[Part, list[BenchmarkTask]]) -> None:
    for part, tasks in drawn.items():
        for task in tasks:
            for form in task.rule.forms:
                assert (list_part(form) if "{w1}" in form else part_of("form", form)) == part
            if isinstance(task.rule, ClassRule):
                assert part_of_classes(task.rule.classes) == part


def test_the_halves_share_nothing_that_was_drawn(drawn: dict[Part, list[BenchmarkTask]]) -> None:
    development, test = drawn["development"], drawn["test"]
    assert not {t.instruction for t in development} & {t.instruction for t in test}
    assert not {f for t in development for f in t.rule.forms} & {f for t in test for f in t.rule.forms}
    pairs = [{getattr(t.rule, "classes", t.name) for t in tasks} for tasks in (development, test)]
    assert not pairs[0] & pairs[1]


def test_the_corpus_shows_no_instruction_and_no_form_of_a_task(drawn: dict[Part, list[BenchmarkTask]]) -> None:
    mixture = Mixture(stated=0.4, demonstrated=0.2, conditioned=0.2, distracted=0.15, ambiguous=0.05, chatty=1)
    rng = random.Random(11)
    episodes = [draw_episode(rng, mixture, PIECES).text for _ in range(1500)]
    asked = {text.split("\n", 1)[0].removeprefix("Task: ") for text in episodes}
    assert len(asked) > 500
    inputs = [re.findall(r"^Input: (.*)$", text, re.MULTILINE)[-1] for text in rng.sample(episodes, 250)]
    for task in [*drawn["development"], *drawn["test"]]:
        assert task.instruction not in asked
        for form in task.rule.forms:
            assert len(slots_of(form)) < 3 or not any(parse(text, form, {}) for text in inputs)


def test_instances_and_oracle(development: list[BenchmarkTask]) -> None:
    for task in development[:16]:
        demonstrations = task.demonstrations(0)
        assert len(demonstrations) == SHOTS
        assert {d.output for d in demonstrations} >= set(task.rule.labels)
        instances = task.instances(0, INSTANCES)
        assert len({pair.input for pair in instances}) == INSTANCES
        assert all(task.truth(pair.input) == pair.output for pair in (*demonstrations, *instances))
        assert task.truth("Once upon a time there was a princess.") is None


def test_the_file_holds_what_the_task_says(development: list[BenchmarkTask]) -> None:
    for task in development[:4]:
        content = task_file(task, 0, 40)
        assert content["Definition"] == [task.instruction]
        assert len(content["Positive Examples"]) == SHOTS
        assert not {p["input"] for p in content["Positive Examples"]} & {i["input"] for i in content["Instances"]}
        gold = GoldData(task.name, {}, valid_input=valid_input(task))
        assert gold.count_valid([instance["input"] for instance in content["Instances"]]) == 40


def test_the_command_writes_the_same_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        arguments = ["--count", "3", "--instances", "20", "--output", str(tmp_path / folder)]
        monkeypatch.setattr(sys, "argv", ["drawn_tasks", *arguments])
        drawn_tasks.main()
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 3
    assert [f.read_bytes() for f in files] == [(tmp_path / "b" / f.name).read_bytes() for f in files]
    assert all(len(json.loads(f.read_text())["Instances"]) == 20 for f in files)


def test_the_command_refuses_test_tasks_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["drawn_tasks", "--part", "test", "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        drawn_tasks.main()
    assert stop.value.code == 2
    assert not list(tmp_path.iterdir())

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.micro.benchmark_tasks import TASKS, BenchmarkTask
from benchmarks.micro.grammar import valid_input
from benchmarks.micro.make_tasks import FOLDER, task_file, write_tasks
from benchmarks.micro.oracle import truth
from selfguide.tasks.gold import GoldData

BY_TASK = pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)


def test_the_benchmark_is_large_enough() -> None:
    families = Counter(t.family for t in TASKS)
    assert families["classification"] >= 8
    assert families["generation"] >= 6
    assert {t.group for t in TASKS if t.family == "classification"} == {"validation", "test"}
    assert {t.group for t in TASKS if t.family == "generation"} == {"validation", "test"}


@BY_TASK
def test_shipped_file_is_what_the_command_makes(task: BenchmarkTask) -> None:
    shipped = json.loads((FOLDER / f"{task.name}.json").read_text(encoding="utf-8"))
    assert shipped == task_file(task, seed=0, instances=500)


@BY_TASK
def test_file_and_oracle(task: BenchmarkTask) -> None:
    shipped = json.loads((FOLDER / f"{task.name}.json").read_text(encoding="utf-8"))
    demonstrations = shipped["Positive Examples"]
    inputs = [i["input"] for i in shipped["Instances"]]
    assert 3 <= len(demonstrations) <= 6
    assert len(inputs) == len(set(inputs)) >= 400
    assert not {d["input"] for d in demonstrations} & set(inputs)
    assert all(truth(task.name, i["input"]) == i["output"][0] for i in shipped["Instances"])
    if task.rule.labels:
        counts = Counter(d["output"] for d in demonstrations)
        assert set(counts) == set(task.rule.labels)
        assert max(counts.values()) - min(counts.values()) <= 1


@BY_TASK
def test_oracle_refuses_what_is_no_input(task: BenchmarkTask) -> None:
    assert truth(f"micro_{task.name}", "Once upon a time there was a princess.") is None
    assert truth(task.name, "") is None


@BY_TASK
def test_the_file_says_what_an_input_is(task: BenchmarkTask) -> None:
    """Its regular expression and the rule agree, on inputs of all tasks and on near misses."""
    rng = random.Random(task.name)
    own = [pair.input for pair in task.instances(1, 150)]
    others = [pair.input for other in TASKS for pair in other.instances(2, 15)]
    words = sorted({word for text in own + others for word in text.split()})
    near = []
    for text in [*own, *others]:
        parts = text.split()
        parts[rng.randrange(len(parts))] = rng.choice(words)
        near.append(" ".join(parts))
        near.append(text[:-1])
    texts = [*own, *others, *near, own[0].upper(), f" {own[0]} ", "", "Once upon a time there was a princess."]
    gold = GoldData(task.name, {}, valid_input=valid_input(task))
    judged = [gold.count_valid([text]) == 1 for text in texts]
    assert judged == [truth(task.name, text) is not None for text in texts]
    assert True in judged and False in judged


def test_unknown_task_has_no_truth() -> None:
    assert truth("task1516", "x") is None


def test_command_is_deterministic(tmp_path: Path) -> None:
    first, second = write_tasks(tmp_path / "a", 3, 20), write_tasks(tmp_path / "b", 3, 20)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]

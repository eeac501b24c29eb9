import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.micro.benchmark_tasks import TASKS, BenchmarkTask
from benchmarks.micro.make_tasks import FOLDER, task_file, write_tasks
from benchmarks.micro.oracle import invalid_inputs, truth

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


def test_mostly_invalid_inputs_are_said() -> None:
    good = [i.input for i in TASKS[0].instances(0, 4)]
    assert not list(invalid_inputs(f"micro_{TASKS[0].name}", [*good, "what?"]))
    [said] = invalid_inputs(f"micro_{TASKS[0].name}", [*good[:1], "what?", "who?"])
    assert said.startswith("1 of 3 new inputs")
    assert not list(invalid_inputs("task1516", ["what?"]))


def test_unknown_task_has_no_truth() -> None:
    assert truth("task1516", "x") is None


def test_command_is_deterministic(tmp_path: Path) -> None:
    first, second = write_tasks(tmp_path / "a", 3, 20), write_tasks(tmp_path / "b", 3, 20)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]

from dataclasses import replace

from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.floors import floors, majority_class


def instances(*pairs: tuple[str, str]) -> tuple[Instance, ...]:
    return tuple(Instance(str(i), text, (output,)) for i, (text, output) in enumerate(pairs))


def test_classification() -> None:
    task = TaskSpec(
        "t", "classification", "?", (Example("a", "yes"), Example("b", "no")), labels=("yes", "no", "maybe")
    )
    rows = instances(("is it yes", "yes"), ("b", "no"), ("c", "no"), ("d", "no"))
    found = {floor.name: floor for floor in floors(task, rows)}
    assert found["majority_class"].answer == "no"
    assert found["majority_class"].scores == [0, 1, 1, 1]
    assert found["copy_input"].mean == 0.25
    assert found["copy_demonstration"].scores == [1, 1, 0, 1]


def test_majority_counts_as_the_metric_does() -> None:
    task = TaskSpec("t", "classification", "?", (Example("a", "Yes"),), labels=("Yes", "No"))
    assert majority_class(task, instances(("a", "yes"), ("b", "YES."), ("c", "No"))).mean == 2 / 3


def test_generation() -> None:
    task = TaskSpec("t", "generation", "?", (Example("a", "the cat sat"),), metric="rouge_l")
    found = {floor.name: floor.mean for floor in floors(task, instances(("the cat", "the cat sat")))}
    assert found == {"copy_input": 0.8, "copy_demonstration": 1.0}


def test_copying_an_input_that_counts_its_sentences_names_no_label() -> None:
    task = TaskSpec("t", "classification", "?", (Example("a", "1"), Example("b", "2")), labels=("1", "2", "3"))
    texts = (
        "Sentence 1: It rains. Sentence 2: It pours.",
        "Statement: X. Choices: 1. A. 2. B. 3. C.",
        "sentence_A: 2 dogs",
    )
    rows = instances(*((text, label) for text in texts for label in task.labels))
    assert {floor.name: floor.mean for floor in floors(task, rows)}["copy_input"] == 0
    for rule in ("exact", "last_occurrence"):
        found = floors(replace(task, label_extraction=rule), rows)
        assert {floor.name: floor.mean for floor in found}["copy_input"] == 0

"""What can be scored without any model: beside a score, these tell whether it means anything."""

from collections.abc import Sequence
from typing import NamedTuple

from selfguide.core.types import Instance, TaskSpec
from selfguide.tasks.metrics import score_all


class Floor(NamedTuple):
    """A trivial method's name, its answer ("" if it varies) and its score on every instance."""

    name: str
    answer: str
    scores: list[float]

    @property
    def mean(self) -> float:
        """The mean score."""
        return sum(self.scores) / len(self.scores)


def majority_class(task: TaskSpec, instances: Sequence[Instance]) -> Floor:
    """Always the one label that scores best on these very instances. Raises ValueError without labels."""
    if not task.labels:
        raise ValueError(f"{task.name} has no labels")
    constant = [
        Floor("majority_class", label, score_all(task, [label] * len(instances), instances)) for label in task.labels
    ]
    return max(constant, key=lambda floor: floor.mean)


def copy_input(task: TaskSpec, instances: Sequence[Instance]) -> Floor:
    """The input as the output."""
    return Floor("copy_input", "", score_all(task, [instance.input for instance in instances], instances))


def copy_demonstration(task: TaskSpec, instances: Sequence[Instance]) -> Floor:
    """The demonstrations' outputs in turn, whatever the input."""
    outputs = [demonstration.output for demonstration in task.demonstrations]
    answers = [outputs[index % len(outputs)] for index in range(len(instances))]
    return Floor("copy_demonstration", "", score_all(task, answers, instances))


def floors(task: TaskSpec, instances: Sequence[Instance]) -> list[Floor]:
    """The floors that make sense for the task."""
    shared = [copy_input(task, instances)]
    if task.demonstrations:
        shared.append(copy_demonstration(task, instances))
    return [majority_class(task, instances), *shared] if task.is_classification else shared

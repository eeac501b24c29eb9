"""In-context learning on one task in all its variants: what a method that trains has to beat."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.reader import Reader, asked
from selfguide.core.types import Example
from selfguide.tasks.metrics import score
from selfguide.tasks.normalization import normalize_answer

NEUTRAL = "Go."
"""An instruction that says nothing."""
_CONTENT_FREE = ("N/A", "[MASK]", "text")
SAMPLES = 10
TEMPERATURE = 0.5


@dataclass(frozen=True)
class Scores:
    """Exact match in percent. `zero_shot` has no demonstration; the others have all of them.

    `calibrated` divides by the likelihood of each label behind inputs without content (Zhao et al. 2021) and is
    `given` where there are no labels; `reordered` is a vote over all orders of the demonstrations, `consistent` one
    over samples.
    """

    zero_shot: float
    given: float
    neutral: float
    calibrated: float
    reordered: float
    consistent: float

    @property
    def best(self) -> float:
        """The best variant with demonstrations."""
        return max(self.given, self.neutral, self.calibrated, self.reordered, self.consistent)


@dataclass(frozen=True)
class Trial:
    """A task with what it is tried on."""

    task: BenchmarkTask
    demonstrations: tuple[Example, ...]
    instances: tuple[Example, ...]

    @classmethod
    def of(cls, task: BenchmarkTask, instances: int, seed: int = 0) -> "Trial":
        """The task's demonstrations of a seed, and `instances` others."""
        shown = task.demonstrations(seed)
        barred = {demonstration.input for demonstration in shown}
        drawn = [i for i in task.instances(seed, instances + len(shown)) if i.input not in barred]
        return cls(task, shown, tuple(drawn[:instances]))

    def percent(self, answers: Sequence[str]) -> float:
        """Exact match of one answer to each instance, as runs score it."""
        labels = self.task.rule.labels
        hits = [
            score("exact_match", answer, [instance.output], labels=labels)
            for answer, instance in zip(answers, self.instances, strict=True)
        ]
        return 100 * float(np.mean(hits))

    def greedy(self, reader: Reader, instruction: str, demonstrations: Sequence[Example]) -> list[str]:
        """The greedy answers under an instruction and demonstrations."""
        return [texts[0] for texts in reader.answers(asked(instruction, demonstrations, self.instances))]


def measure(reader: Reader, trial: Trial) -> Scores:
    """Every variant."""
    stated, shown = trial.task.instruction, trial.demonstrations
    given = trial.greedy(reader, stated, shown)
    ordered = [trial.greedy(reader, stated, order) if order != shown else given for order in permutations(shown)]
    sampled = reader.answers(asked(stated, shown, trial.instances), SAMPLES, TEMPERATURE)
    return Scores(
        zero_shot=trial.percent(trial.greedy(reader, stated, ())),
        given=trial.percent(given),
        neutral=trial.percent(trial.greedy(reader, NEUTRAL, shown)),
        calibrated=trial.percent(calibrated(reader, trial) if trial.task.rule.labels else given),
        reordered=trial.percent([vote(answers) for answers in zip(*ordered, strict=True)]),
        consistent=trial.percent([vote(answers) for answers in sampled]),
    )


def measure_plain(reader: Reader, trial: Trial) -> Scores:
    """Zero-shot, given and neutral alone; the other variants are those of `given`."""
    stated, shown = trial.task.instruction, trial.demonstrations
    given = trial.percent(trial.greedy(reader, stated, shown))
    return Scores(
        zero_shot=trial.percent(trial.greedy(reader, stated, ())),
        given=given,
        neutral=trial.percent(trial.greedy(reader, NEUTRAL, shown)),
        calibrated=given,
        reordered=given,
        consistent=given,
    )


def calibrated(reader: Reader, trial: Trial) -> list[str]:
    """The label that the input makes likelier than no input does."""
    task, labels = trial.task, trial.task.rule.labels
    likely = reader.likelihoods(asked(task.instruction, trial.demonstrations, trial.instances), labels)
    empty = [Example(text, "") for text in _CONTENT_FREE]
    prior = np.exp(reader.likelihoods(asked(task.instruction, trial.demonstrations, empty), labels)).mean(0)
    return [labels[int(best)] for best in (likely - np.log(prior)).argmax(1)]


def vote(answers: Sequence[str]) -> str:
    """The commonest answer; of equally common ones the first."""
    counts = Counter(map(normalize_answer, answers))
    return max(answers, key=lambda answer: counts[normalize_answer(answer)])

"""`python -m benchmarks.micro.gates --model FOLDER`: may this model be the benchmark's? Numbers for every gate.

Development tasks alone are read. The model has to read instructions, to gain from them, to write inputs
for a label, and to leave something to learn. Exit code 1 if a gate is missed.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.micro.admission import BAND
from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.ceiling import oracle_ceiling
from benchmarks.micro.drawn_tasks import draw_tasks
from benchmarks.micro.icl import Scores, Trial, measure, measure_plain
from benchmarks.micro.reader import Reader
from benchmarks.micro.rules import ClassRule
from benchmarks.micro.scene import slots_of
from selfguide.core.console import Terminal
from selfguide.core.tables import Sheet, to_markdown
from selfguide.prompts.selfguide import InputPrompt

ZERO_SHOT = 40.0
GAIN, LOSS = 10.0, 3.0
LABEL_RIGHT = 70.0
IN_BAND = 40.0
HEADROOM = 10.0
WRITTEN = 10
"""Inputs written for each label."""


@dataclass(frozen=True)
class Measured:
    """One development task. `label_right`: share of the inputs written for a label that have it, in percent."""

    name: str
    instruction: str
    scores: Scores
    label_right: float | None = None
    position: str = ""
    ceiling: float | None = None


@dataclass(frozen=True)
class Gate:
    """One condition, with what was measured. `passed` is None where nothing was."""

    name: str
    wanted: str
    measured: str
    passed: bool | None


def measure_task(reader: Reader, task: BenchmarkTask, instances: int, quick: bool, ceiling: bool) -> Measured:
    """Everything that the gates ask of a task. `quick` leaves out the variants that vote."""
    trial = Trial.of(task, instances)
    scores = (measure_plain if quick else measure)(reader, trial)
    right = label_right(reader, trial) if task.rule.labels else None
    return Measured(
        task.name,
        task.instruction,
        scores,
        right,
        position(task),
        oracle_ceiling(reader, trial) if ceiling else None,
    )


def label_right(reader: Reader, trial: Trial, seed: int = 0) -> float:
    """Percentage of the inputs written for a label whose true label it is; what is no input counts as wrong."""
    task = trial.task
    wanted = [label for label in task.rule.labels for _ in range(WRITTEN)]
    prompts = [InputPrompt(task.instruction, trial.demonstrations, (), label, True) for label in wanted]
    texts = reader.inputs(prompts, seed)
    return 100 * float(np.mean([task.truth(text) == label for text, label in zip(texts, wanted, strict=True)]))


def position(task: BenchmarkTask) -> str:
    """Where the slot that decides the label stands: first, middle or last; "" where there are no labels."""
    rule = task.rule
    if not isinstance(rule, ClassRule):
        return ""
    slots = slots_of(rule.forms[0])
    index = slots.index(rule.slot)
    return "first" if index == 0 else "last" if index == len(slots) - 1 else "middle"


def gates(tasks: Sequence[Measured]) -> list[Gate]:
    """The conditions, in the order of the pre-registration."""
    zero_shot = float(np.mean([t.scores.zero_shot for t in tasks]))
    gains = [t.scores.given - t.scores.neutral for t in tasks]
    inside = 100 * float(np.mean([BAND[0] <= t.scores.given <= BAND[1] for t in tasks]))
    left = [t.ceiling - t.scores.best for t in tasks if t.ceiling is not None]
    return [
        Gate(
            "zero-shot with a stated rule",
            f">= {ZERO_SHOT:g} % exact match",
            f"{zero_shot:.1f} % ({len(tasks)} tasks; {_by_family(tasks)})",
            zero_shot >= ZERO_SHOT,
        ),
        Gate(
            "right instruction over `Go.`",
            f">= {GAIN:g} points on average, none below -{LOSS:g}",
            f"{np.mean(gains):+.1f} on average, worst {min(gains):+.1f}",
            bool(np.mean(gains) >= GAIN and min(gains) >= -LOSS),
        ),
        *_label_gates(tasks),
        Gate(
            f"tasks with ICL from {BAND[0]:g} to {BAND[1]:g} %",
            f">= {IN_BAND:g} %",
            f"{inside:.0f} %",
            inside >= IN_BAND,
        ),
        Gate(
            "oracle-label ceiling over the best ICL variant",
            f">= {HEADROOM:g} points on average",
            f"{np.mean(left):+.1f} ({len(left)} tasks)" if left else "not measured",
            bool(np.mean(left) >= HEADROOM) if left else None,
        ),
    ]


def _by_family(tasks: Sequence[Measured]) -> str:
    """Zero-shot of classification, where guessing has its share, and of generation, where it has none."""
    means = []
    for family, labelled in (("classification", True), ("generation", False)):
        values = [task.scores.zero_shot for task in tasks if (task.position != "") == labelled]
        means.append(f"{family} {np.mean(values):.1f}" if values else f"no {family}")
    return ", ".join(means)


def _label_gates(tasks: Sequence[Measured]) -> list[Gate]:
    found = []
    for place in ("first", "middle", "last"):
        shares = [t.label_right for t in tasks if t.position == place and t.label_right is not None]
        found.append(
            Gate(
                f"asked label right, deciding slot {place}",
                f">= {LABEL_RIGHT:g} %",
                f"{np.mean(shares):.0f} % ({len(shares)} tasks)" if shares else "no task",
                bool(np.mean(shares) >= LABEL_RIGHT) if shares else None,
            )
        )
    return found


def report(tasks: Sequence[Measured], found: Sequence[Gate]) -> str:
    """Both tables in Markdown."""
    verdict = {True: "passed", False: "missed", None: "-"}
    names = [field.name for field in dataclasses.fields(Scores)]
    rows = [
        [
            task.name,
            *(f"{getattr(task.scores, name):.0f}" for name in names),
            "-" if task.ceiling is None else f"{task.ceiling:.0f}",
            "-" if task.label_right is None else f"{task.label_right:.0f} {task.position}",
        ]
        for task in tasks
    ]
    header = ("task", *(name.replace("_", "-") for name in names), "ceiling", "asked label right")
    gates_rows = [[gate.name, gate.wanted, gate.measured, verdict[gate.passed]] for gate in found]
    return "\n\n".join(
        [
            to_markdown(Sheet("", ("gate", "wanted", "measured", ""), gates_rows)),
            to_markdown(Sheet("", header, rows)),
        ]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--seed", default="0", help="of the development tasks")
    parser.add_argument("--tasks", type=int, default=30, help="how many development tasks")
    parser.add_argument("--instances", type=int, default=200, help="instances of each task")
    parser.add_argument("--ceilings", type=int, default=8, help="tasks whose oracle-label ceiling is trained")
    parser.add_argument("--quick", action="store_true", help="plain ICL alone: no votes, no calibration, no ceilings")
    parser.add_argument("--threads", type=int, default=1, help="1 beside other busy processes")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    ceilings = 0 if arguments.quick else arguments.ceilings
    tasks = draw_tasks("development", arguments.seed, arguments.tasks)
    measured: list[Measured] = []
    with Reader(arguments.model) as reader, Terminal().bar("gates", len(tasks), "tasks") as bar:
        for index, task in enumerate(tasks):
            done = measure_task(reader, task, arguments.instances, arguments.quick, index < ceilings)
            measured.append(done)
            bar.advance(1)
    found = gates(measured)
    print(report(measured, found))
    if arguments.output:
        content = {
            "model": str(arguments.model),
            "gates": [dataclasses.asdict(gate) for gate in found],
            "tasks": [dataclasses.asdict(task) for task in measured],
        }
        arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if all(gate.passed for gate in found) else 1)


if __name__ == "__main__":
    main()

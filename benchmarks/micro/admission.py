"""`python -m benchmarks.micro.admission --model FOLDER --output FILE`: which drawn tasks enter the headline.

A task is admitted where few-shot ICL neither fails nor leaves nothing to gain. Nothing but ICL is looked at, and on
instances that no arm is scored on: a task that looks hard by chance would gain by chance. The tasks that
are not admitted are run and reported all the same.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.drawn_tasks import INSTANCES, draw_tasks
from benchmarks.micro.icl import Trial
from benchmarks.micro.reader import Reader
from selfguide.core.console import Terminal
from selfguide.core.errors import DataError

BAND = (35.0, 85.0)
ASKED = 100
"""Instances of each task that admission sees."""


@dataclass(frozen=True)
class Admission:
    """Few-shot ICL of a task in percent, and whether that admits it."""

    task: str
    icl: float
    admitted: bool


def admission_trial(task: BenchmarkTask, asked: int = ASKED) -> Trial:
    """The demonstrations that every arm has, and `asked` instances that no arm is scored on."""
    scored = {instance.input for instance in Trial.of(task, INSTANCES).instances}
    shown = task.demonstrations(0)
    barred = scored | {demonstration.input for demonstration in shown}
    others = [i for i in task.instances(1, asked + len(barred)) if i.input not in barred]
    return Trial(task, shown, tuple(others[:asked]))


def admit(reader: Reader, tasks: Sequence[BenchmarkTask], asked: int = ASKED) -> list[Admission]:
    """The verdict on each task, in order."""
    found = []
    with Terminal().bar("admission", len(tasks), "tasks") as bar:
        for task in tasks:
            trial = admission_trial(task, asked)
            icl = trial.percent(trial.greedy(reader, task.instruction, trial.demonstrations))
            found.append(Admission(task.name, icl, BAND[0] <= icl <= BAND[1]))
            bar.advance(1)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--part", choices=("development", "test"), default="development", help="which stream")
    parser.add_argument("--seed", default="0", help="a number; for test tasks the hash of the commit that froze all")
    parser.add_argument("--count", type=int, default=30, help="how many tasks")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    try:
        tasks = draw_tasks(arguments.part, arguments.seed, arguments.count)
    except DataError as error:
        parser.error(str(error))
    with Reader(arguments.model) as reader:
        found = admit(reader, tasks)
    content = {"model": str(arguments.model), "part": arguments.part, "seed": arguments.seed, "band": BAND}
    tasks_content = [asdict(one) for one in found]
    arguments.output.write_text(json.dumps({**content, "tasks": tasks_content}, indent=1) + "\n", encoding="utf-8")
    print(f"{sum(one.admitted for one in found)} of {len(found)} tasks admitted: {arguments.output}")


if __name__ == "__main__":
    main()

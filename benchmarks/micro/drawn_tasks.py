"""Tasks drawn from a seed: property, form, label names and paraphrase, all of a part that pretraining never shows.

python -m benchmarks.micro.drawn_tasks --part development --seed 0 --output FOLDER
python -m benchmarks.micro.drawn_tasks --part test --seed COMMIT --count 60 --output FOLDER

Nobody chooses among them: a task is one of a part by its index alone. The test tasks' seed is the hash of the
commit that freezes generator, model, settings and hypotheses, so that they cannot be looked at before.
"""

import argparse
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.make_tasks import task_file
from benchmarks.micro.parts import Part
from benchmarks.micro.scene import SLOT_GROUPS, members, slots_of
from benchmarks.micro.stated import Stated
from benchmarks.micro.stated_labels import draw_labelled
from benchmarks.micro.stated_texts import draw_extraction, draw_find, draw_rewriting
from selfguide.core.errors import DataError
from selfguide.core.seeding import child_random

SHOTS = 3
INSTANCES = 200
ROOM = 3000
"""Different inputs that a task has at least."""
_COMMIT = re.compile("[0-9a-f]{40}")
Draw = Callable[[random.Random, Part], Stated]
# What the task with an index is about: half of them are classification.
_CYCLE: tuple[Draw, ...] = (
    draw_labelled, draw_extraction, draw_labelled, draw_rewriting,
    draw_labelled, draw_extraction, draw_labelled, draw_find,
)  # fmt: skip


def draw_task(part: Part, seed: int, index: int) -> BenchmarkTask:
    """Task number `index` of a part's stream."""
    rng = child_random(seed, "task", part, index)
    while True:
        stated = _CYCLE[index % len(_CYCLE)](rng, part)
        if inputs(stated) >= ROOM and (not stated.rule.labels or len(stated.rule.labels) <= SHOTS):
            break
    return BenchmarkTask(
        f"{part}_{index:02d}_{stated.prop}_{stated.key.replace('.', '_')}",
        "test" if part == "test" else "validation",
        stated.instruction,
        stated.rule,
        "sentence form, label names, instruction" if stated.rule.labels else "sentence form, instruction",
        SHOTS,
    )


def draw_tasks(part: Part, seed: str, count: int) -> list[BenchmarkTask]:
    """The first `count` tasks. Raises `DataError` if test tasks are asked for without a commit as their seed."""
    if part == "test" and not _COMMIT.fullmatch(seed):
        raise DataError(f"--seed: {seed} is not allowed for test tasks; allowed: the hash of the commit that froze all")
    number = int(seed, 16) if _COMMIT.fullmatch(seed) else int(seed)
    return [draw_task(part, number, index) for index in range(count)]


def inputs(stated: Stated) -> int:
    """How many different inputs a rule has, at least about."""
    rule = stated.rule
    deciding = {rule.slot: [g for c in rule.classes for g in c]} if rule.labels else {}  # type: ignore[union-attr]
    pools = {**rule.pools, **deciding}
    return sum(
        math.prod(len({w for g in pools.get(slot) or SLOT_GROUPS[slot] for w in members(g)}) for slot in slots_of(form))
        for form in rule.forms
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("development", "test"), default="development", help="which stream")
    parser.add_argument("--seed", default="0", help="a number; for test tasks the hash of the commit that froze all")
    parser.add_argument("--count", type=int, default=30, help="how many tasks")
    parser.add_argument("--instances", type=int, default=INSTANCES, help="instances of each task")
    parser.add_argument("--output", type=Path, required=True, help="folder for the task files")
    arguments = parser.parse_args()
    try:
        tasks = draw_tasks(arguments.part, arguments.seed, arguments.count)
    except DataError as error:
        parser.error(str(error))
    arguments.output.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        path = arguments.output / f"{task.name}.json"
        content = task_file(task, 0, arguments.instances)
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"{path}  {task.instruction}")


if __name__ == "__main__":
    main()

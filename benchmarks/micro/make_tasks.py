"""Write the benchmark's task files, in the Super-NaturalInstructions form, from a seed.

python -m benchmarks.micro.make_tasks [--seed 0] [--instances 500] [--output selfguide/micro/tasks]
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.micro.benchmark_tasks import TASKS, BenchmarkTask
from benchmarks.micro.grammar import valid_input
from benchmarks.micro.heldout import SEEN_INPUTS
from selfguide.core.paths import RESOURCES

FOLDER = RESOURCES / "micro" / "tasks"


def task_file(task: BenchmarkTask, seed: int, instances: int) -> dict[str, Any]:
    """The content of one task file; no instance equals a demonstration of seeds 0 to 9, or stood in the corpus."""
    barred = {d.input for s in range(10) for d in task.demonstrations(s)} | SEEN_INPUTS
    pairs = [p for p in task.instances(seed, instances + len(barred)) if p.input not in barred][:instances]
    return {
        "Definition": [task.instruction],
        "Valid Input": valid_input(task),
        "Positive Examples": [
            {"input": d.input, "output": d.output, "explanation": ""} for d in task.demonstrations(seed)
        ],
        "Negative Examples": [],
        "Instances": [
            {"id": f"micro_{task.name}-{i:04d}", "input": p.input, "output": [p.output]} for i, p in enumerate(pairs)
        ],
    }


def write_tasks(folder: Path, seed: int = 0, instances: int = 500) -> list[Path]:
    """Write every task of the benchmark into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for task in TASKS:
        path = folder / f"{task.name}.json"
        text = json.dumps(task_file(task, seed, instances), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the micro benchmark's task files.")
    parser.add_argument("--seed", type=int, default=0, help="seed of demonstrations and instances")
    parser.add_argument("--instances", type=int, default=500, help="instances of each task")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write into")
    arguments = parser.parse_args()
    for path in write_tasks(arguments.output, arguments.seed, arguments.instances):
        print(path)


if __name__ == "__main__":
    main()

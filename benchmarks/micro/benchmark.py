"""`python -m benchmarks.micro.benchmark`: every test task of the micro benchmark, several seeds, one table.

Each run is the main job in a process of its own with its own demonstrations and the setting that the sweep
froze on the validation tasks (`frozen_config=null`: the defaults of `model=micro`). Beside it stands few-shot ICL with
an instruction that says nothing: an instruction that misleads the model is no gain of a method that trains it away.
Any override of the main job may follow. Finished runs of the same overrides are kept, so an interrupted benchmark
goes on where it stopped.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.micro.benchmark_table import Run, read_run, write_tables
from benchmarks.micro.benchmark_tasks import BY_NAME, TASKS, BenchmarkTask
from benchmarks.micro.make_tasks import FOLDER

ROOT = Path("runs/micro_benchmark")
LOCK = "one_parameter_micro"
NEUTRAL = ["method=few_shot_icl", "task.instruction=Go.", "frozen_config=null"]


def overrides(task: BenchmarkTask, seed: int, folder: Path) -> list[str]:
    """The main job's overrides for one run: the seed gives the demonstrations too."""
    shown = ", ".join(f"{{input: {_quoted(d.input)}, output: {_quoted(d.output)}}}" for d in task.demonstrations(seed))
    return [f"task=micro_{task.name}", f"seed={seed}", f"task.demonstrations=[{shown}]", f"hydra.run.dir={folder}"]


def folder_of(root: Path, task: BenchmarkTask, seed: int, extra: list[str]) -> Path:
    """Where a run lies: other overrides, or another task file, are another run."""
    content = (FOLDER / f"{task.name}.json").read_bytes()
    known = hashlib.sha256("\n".join(extra).encode() + content).hexdigest()[:10]
    return root / f"{task.name}-{seed}-{known}"


def run_one(task: BenchmarkTask, seed: int, folder: Path, extra: list[str]) -> None:
    """One run, unless its folder holds the result already."""
    if (folder / "result.json").exists():
        return
    command = [sys.executable, "-m", "selfguide.main", *overrides(task, seed, folder), *extra]
    # One thread each: two runs side by side then use two cores without waiting for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task.name}, seed {seed}: exit {done.returncode}\n{done.stderr.strip()[-2000:]}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", choices=("test", "validation"), default="test", help="which tasks")
    parser.add_argument("--tasks", nargs="*", choices=sorted(BY_NAME), help="these tasks alone")
    parser.add_argument(
        "--seeds", type=int, choices=range(1, 11), default=3, metavar="1..10", help="seeds 0 to this, less one"
    )
    parser.add_argument("--limit", type=int, default=200, help="instances of each task")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--output", type=Path, default=Path("experiments/micro"), help="folder for the tables")
    parser.add_argument("--runs", type=Path, default=ROOT, help="folder for the runs")
    parser.add_argument("overrides", nargs="*", help="overrides of the main job, after --")
    arguments = parser.parse_args()
    tasks = [t for t in TASKS if (t.name in arguments.tasks if arguments.tasks else t.group == arguments.group)]
    extra = ["evaluation.split=test", f"evaluation.limit={arguments.limit}", *arguments.overrides]
    if not any(override.startswith("frozen_config=") for override in extra):
        extra.append(f"frozen_config={LOCK}")
    neutral = [*(o for o in extra if not o.startswith("frozen_config=")), *NEUTRAL]
    jobs = [(t, s) for s in range(arguments.seeds) for t in tasks]

    def run_and_read(job: tuple[BenchmarkTask, int]) -> Run:
        folders = [folder_of(arguments.runs, *job, more) for more in (extra, neutral)]
        for folder, more in zip(folders, (extra, neutral), strict=True):
            run_one(*job, folder, more)
        return read_run(*job, folders[0], folders[1])

    started = time.monotonic()
    runs = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for run in pool.map(run_and_read, jobs):
            runs.append(run)
            print(run.line(), flush=True)
    command = " ".join(["python -m benchmarks.micro.benchmark", *sys.argv[1:]])
    print(write_tables(runs, arguments.output, command, time.monotonic() - started))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    main()

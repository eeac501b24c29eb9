"""`python -m selfguide.bench`: everything in child processes, in turn; the figures are printed and written."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.bench.bare import against_bare
from selfguide.bench.report import machine, show, summary
from selfguide.bench.schedules import SCHEDULES, one_run, train
from selfguide.store.atomic import write_json


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description="our schedules, the reference's, and bare vLLM")
    parser.add_argument("--task", default="micro_color_word")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of every process; a small model gains from one alone")
    parser.add_argument("--out", type=Path, default=Path("experiments/bench/micro_cpu.json"))
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        print("RESULT " + json.dumps(_work(asked)), flush=True)
        return
    with tempfile.TemporaryDirectory() as work:
        trained = _child(asked, "train", work)
        adapters = [str(Path(work) / f"epoch-{epoch}") for epoch in (1, 2, 3)]
        found: dict[str, list[dict[str, Any]]] = {schedule: [] for schedule in SCHEDULES}
        for _ in range(asked.runs):  # in turn, so that the machine's load falls on all alike
            for schedule in SCHEDULES:
                found[schedule].append(_child(asked, schedule, *adapters))
                print(f"{schedule}: {found[schedule][-1]['total']:.1f} s", flush=True)
        bare = _child(asked, "bare")
    report = {**summary(found, trained, bare), "threads": asked.threads, "machine": machine()}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(asked.out, report)
    show(report)
    print(f"written: {asked.out}")


def _work(asked: argparse.Namespace) -> dict[str, Any]:
    kind, *rest = asked.child
    if kind == "train":
        return train(asked.task, Path(rest[0]))
    if kind == "bare":
        return against_bare(asked.task, asked.runs)
    return one_run(kind, asked.task, [Path(path) for path in rest])


def _child(asked: argparse.Namespace, *what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "selfguide.bench", "--task", asked.task, "--runs", str(asked.runs)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    done = subprocess.run([*command, "--child", *what], capture_output=True, text=True, check=False, env=environment)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    sys.exit(f"bench: {what[0]} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.speed`: everything in child processes, in turn; the figures are printed and written."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.bare import against_bare
from benchmarks.speed.report import machine, show, summary
from benchmarks.speed.schedules import SCHEDULES, one_run, train
from selfguide.core.files import write_json
from selfguide.core.paths import config_dir


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description="our schedules, the reference's, and bare vLLM")
    parser.add_argument("--task", default="micro_color_word")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of every process; a small model gains from one alone")
    parser.add_argument("--model", default="micro", help="a preset of conf/model, or a checkpoint's folder")
    parser.add_argument(
        "--dtype", default="auto", help="of the weights; auto: bfloat16 on a GPU that has it, else float32"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="further overrides, for all schedules"
    )
    parser.add_argument("--out", type=Path, help="by default experiments/bench/MODEL_DEVICE.json")
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    asked.overrides = (*model_overrides(asked.model), f"model.dtype={asked.dtype}", *asked.set)
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
    own = {"model": asked.model, "dtype": asked.dtype, "set": asked.set, "threads": asked.threads}
    report = {**summary(found, trained, bare), **own, "machine": machine()}
    device = "gpu" if report["machine"]["gpu"] else "cpu"
    out = asked.out or Path(f"experiments/bench/{Path(asked.model).name}_{device}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, report)
    show(report)
    print(f"written: {out}")


def model_overrides(model: str) -> tuple[str, ...]:
    """A preset's name, a folder or a name of the hub, as overrides."""
    if (config_dir() / "model" / f"{model}.yaml").exists():
        return (f"model={model}",)
    return ("model=local", f"model.path={Path(model).absolute() if Path(model).exists() else model}")


def _work(asked: argparse.Namespace) -> dict[str, Any]:
    kind, *rest = asked.child
    if kind == "train":
        return train(asked.task, Path(rest[0]), asked.overrides)
    if kind == "bare":
        return against_bare(asked.task, asked.runs, asked.overrides)
    return one_run(kind, asked.task, [Path(path) for path in rest], asked.overrides)


def _child(asked: argparse.Namespace, *what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.speed", "--task", asked.task, "--runs", str(asked.runs)]
    command += ["--model", asked.model, "--dtype", asked.dtype, "--set", *asked.set]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    done = subprocess.run([*command, "--child", *what], capture_output=True, text=True, check=False, env=environment)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    sys.exit(f"bench: {what[0]} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()

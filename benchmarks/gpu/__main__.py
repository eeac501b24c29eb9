"""`make gpu-check [SIZE=tiny|1b|8b] [STEPS="agree memory …"]`: each step in a process of its own.

Without weights from anywhere: the models are random Llamas. SIZE=tiny runs all that can run on a CPU.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gpu.models import SIZES

STEPS = {
    "agree": "engine=hf: batch = alone, the same again, tokens/s; a model with a sliding window, too",
    "jobs": "main jobs on engine=hf: adapters and all weights, a published generation config, a sliding window",
    "memory": "trainings: measured memory beside the forecast, and all of it given back",
    "killed": "kill -9 in a training, and again: every step once, the same losses",
    "vllm": "main jobs on engine=vllm with each lifetime: start, wake, reload, the base comes back",
    "contract": "the tests of the vLLM engine, on the model runner that it takes by itself",
    "speed": "engine tokens/s, and their ratio to bare vLLM",
    "devices": "several GPUs: adapters by DDP, all weights by FSDP, tensor parallel with sleep",
    "slurm": "two jobs through SLURM on a shared folder, then the same again: all hits",
}
REPORTED = 3
"""Status of a step that has said what failed."""


def why_not(step: str, size: str) -> str | None:
    """Why a step cannot run on this machine; None if it can."""
    import torch

    cards = torch.cuda.device_count()
    vllm = importlib.util.find_spec("vllm") is None
    reasons: dict[str, list[tuple[bool, str]]] = {
        "vllm": [(vllm, "vLLM is not installed")],
        "contract": [(vllm, "vLLM is not installed"), (not cards, "without a GPU `make test` has run them")],
        "speed": [(vllm, "vLLM is not installed"), (not cards, "without a GPU it is `make bench`")],
        "devices": [(cards < 2, f"{cards} of 2 GPUs")],
        "slurm": [
            (shutil.which("sbatch") is None, "no sbatch here"),
            ("SHARED" not in os.environ, "SHARED names no folder that all nodes see"),
        ],
    }
    large = (size != "tiny" and not cards, "a CPU runs SIZE=tiny alone")
    return next((reason for applies, reason in [large, *reasons.get(step, [])] if applies), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps, print PASS, FAIL and SKIP with figures, write them to results.jsonl; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="make gpu-check", epilog="; ".join(f"{k}: {v}" for k, v in STEPS.items()))
    parser.add_argument("steps", nargs="*", metavar="STEP", help="by default all of them")
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if unknown := set(asked.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))} (there are: {', '.join(STEPS)})")
    out = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    if asked.child:
        from benchmarks.gpu import checks

        step: Callable[[checks.Report, str], None] = getattr(checks, asked.steps[0])
        report = checks.Report(out)
        step(report, asked.size)
        return REPORTED if report.failed else 0
    failed = False
    for name in asked.steps or STEPS:
        print(f"== {name}: {STEPS[name]}", flush=True)
        reason = why_not(name, asked.size)
        if reason is not None:
            print(f"SKIP {name}: {reason}", flush=True)
            _record(out, {"step": name, "outcome": "SKIP", "what": reason})
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", name, "--size", asked.size, "--out", str(out), "--child"]
        done = subprocess.run(command, env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
        failed |= done.returncode != 0
        if done.returncode not in (0, REPORTED):
            _record(out, {"step": name, "outcome": "FAIL", "what": f"it ended with {done.returncode}"})
    print(f"written: {out / 'results.jsonl'}")
    return int(failed)


def _record(out: Path, line: dict[str, str]) -> None:
    with (out / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())

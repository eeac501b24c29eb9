"""The figures: medians, ratios, where the time went, on which machine."""

import os
import platform
import statistics
import time
from typing import Any

from benchmarks.speed.schedules import REFERENCES


def summary(found: dict[str, list[dict[str, Any]]], trained: dict[str, Any], bare: dict[str, Any]) -> dict[str, Any]:
    """Medians and ratios; every single run beside them."""
    schedules = {}
    for schedule, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("total", "outside_vllm")}
        schedules[schedule] = {
            "seconds": [run["total"] for run in runs],
            "median_seconds": middle["total"],
            "processor_seconds": statistics.median(run["processor_seconds"] for run in runs),
            "outside_vllm_share": middle["outside_vllm"] / middle["total"],
            "stages": {name: statistics.median(run["seconds"][name] for run in runs) for name in runs[0]["seconds"]},
            "starting_and_stopping": statistics.median(run["starting_and_stopping"] for run in runs),
            "answering": statistics.median(run["answering"] for run in runs),
        }
    for row in schedules.values():
        for base in REFERENCES:
            reference = schedules[base]["median_seconds"]
            row[f"times_faster_than_{base}"] = reference / row["median_seconds"]
            row[f"processor_times_less_than_{base}"] = schedules[base]["processor_seconds"] / row["processor_seconds"]
            row[f"with_training_than_{base}"] = (reference + trained["seconds"]) / (
                row["median_seconds"] + trained["seconds"]
            )
    return {"schedules": schedules, "training": trained, "against_bare_vllm": bare, "runs": found}


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    from importlib.metadata import version

    return {
        "processor": _processor(),
        "gpu": _gpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "vllm": __import__("vllm").__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def show(report: dict[str, Any]) -> None:
    """The tables."""
    for unit, key, ratio in (
        ("seconds", "median_seconds", "times_faster_than"),
        ("processor", "processor_seconds", "processor_times_less_than"),
    ):
        print(f"{unit:<14}{'median s':>10}" + "".join(f"{'x ' + base:>14}" for base in REFERENCES))
        for name, row in report["schedules"].items():
            ratios = "".join(f"{row[f'{ratio}_{base}']:>14.2f}" for base in REFERENCES)
            print(f"{name:<14}{row[key]:>10.1f}{ratios}")
    print(f"{'of it':<14}{'starts s':>10}{'answers s':>11}{'outside %':>11}")
    for name, row in report["schedules"].items():
        share = 100 * row["outside_vllm_share"]
        print(f"{name:<14}{row['starting_and_stopping']:>10.1f}{row['answering']:>11.1f}{share:>11.1f}")
    for name, rates in report["against_bare_vllm"].items():
        ours, bare = (statistics.median(rates[key]) for key in ("ours_tokens_per_s", "bare_tokens_per_s"))
        print(f"{name}: {ours:.0f} tokens/s, bare vLLM {bare:.0f} ({rates['ratio_of_medians']:.3f})")

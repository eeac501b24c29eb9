"""The figures: medians, ratios, where the time went, on which machine."""

import os
import platform
import statistics
import time
from typing import Any

from selfguide.bench.schedules import REFERENCES


def summary(found: dict[str, list[dict[str, Any]]], trained: dict[str, Any], bare: dict[str, Any]) -> dict[str, Any]:
    """Medians and ratios; every single run beside them."""
    schedules = {}
    for schedule, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("total", "outside_vllm")}
        schedules[schedule] = {
            "seconds": [run["total"] for run in runs],
            "median_seconds": middle["total"],
            "outside_vllm_share": middle["outside_vllm"] / middle["total"],
            "stages": {name: statistics.median(run["seconds"][name] for run in runs) for name in runs[0]["seconds"]},
            "starting_and_stopping": statistics.median(run["starting_and_stopping"] for run in runs),
            "answering": statistics.median(run["answering"] for run in runs),
        }
    for row in schedules.values():
        for base in REFERENCES:
            reference = schedules[base]["median_seconds"]
            row[f"times_faster_than_{base}"] = reference / row["median_seconds"]
            row[f"with_training_than_{base}"] = (reference + trained["seconds"]) / (
                row["median_seconds"] + trained["seconds"]
            )
    return {"schedules": schedules, "training": trained, "against_bare_vllm": bare, "runs": found}


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    from importlib.metadata import version

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "vllm": __import__("vllm").__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def show(report: dict[str, Any]) -> None:
    """The tables."""
    head = ("median s", "x a_tens", "x a_ref", "x a_same", "starts s", "answers s", "outside %")
    print(f"{'schedule':<14}" + "".join(f"{name:>11}" for name in head))
    for name, row in report["schedules"].items():
        print(
            f"{name:<14}{row['median_seconds']:>11.1f}{row['times_faster_than_a_tens']:>11.2f}"
            f"{row['times_faster_than_a_reference']:>11.2f}{row['times_faster_than_a_same']:>11.2f}{row['starting_and_stopping']:>11.1f}"
            f"{row['answering']:>11.1f}{100 * row['outside_vllm_share']:>11.1f}"
        )
    for name, rates in report["against_bare_vllm"].items():
        ours, bare = (statistics.median(rates[key]) for key in ("ours_tokens_per_s", "bare_tokens_per_s"))
        print(f"{name}: {ours:.0f} tokens/s, bare vLLM {bare:.0f} ({rates['ratio_of_medians']:.3f})")

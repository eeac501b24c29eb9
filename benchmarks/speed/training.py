"""`python -m benchmarks.speed.training`: optimizer steps a second with packed rows and without, side by side.

The rows are those of bundled tasks, the step is the trainer's own: collator, forward, backward, clipping, AdamW. All
ways take turns in one process, so that the machine's load falls on all alike; ratios are what counts.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.speed.random_model import random_llama
from benchmarks.speed.schedules import composed
from selfguide.config.schema import RunConfig
from selfguide.core.files import write_json

WAYS: dict[str, tuple[str, ...]] = {
    "side by side": ("finetuning.packing=none",),
    "packed": (),
    "packed, mixed": ("finetuning.dtype=mixed",),
}
OF_113M = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "num_key_value_heads": 12,
}  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.training", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["micro_color_word", "micro_name_or_job"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs=2, default=(8, 1), help="in a repetition: bundled model, random one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("experiments/bench/training_cpu.json"))
    asked = parser.parse_args()
    import torch

    from benchmarks.speed.report import machine

    torch.set_num_threads(asked.threads)
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        parameters = random_llama(Path(folder), **OF_113M)
        random = (
            "model=local",
            f"model.path={folder}",
            "model.prompt_format=plain",
            "finetuning=lora_micro",
            "synthesis=micro",
        )
        models = {"micro": ("model=micro",), f"random Llama, {parameters / 1e6:.0f} M": random}
        for (name, overrides), steps in zip(models.items(), asked.steps, strict=True):
            for task in asked.tasks:
                table = measure(task, overrides, asked.repetitions, steps)
                tables.append({"model": name, "task": task, **table})
                show(tables[-1])
    write_json(asked.out, {"tables": tables, "threads": asked.threads, "machine": machine()})
    print(f"written: {asked.out}; load of the machine at the end: {os.getloadavg()[0]:.1f}")


def measure(task: str, overrides: Sequence[str], repetitions: int, steps: int) -> dict[str, Any]:
    """Steps a second of each way in each repetition, and how many times the first way's the medians are."""
    ways = {name: stepper(composed(f"task={task}", *overrides, *own)) for name, own in WAYS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for step, _ in ways.values():
        step()
    for _ in range(repetitions):
        for name, (step, _) in ways.items():
            begun = time.process_time()
            for _ in range(steps):
                step()
            seconds[name].append((time.process_time() - begun) / steps)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    first = next(iter(middle.values()))
    return {
        name: {
            "steps_per_second": [1 / value for value in seconds[name]],
            "times": first / middle[name],
            "tokens_per_step": tokens,
        }
        for name, (_, tokens) in ways.items()
    }


def stepper(config: RunConfig) -> tuple[Callable[[], None], float]:
    """A function that makes one optimizer step, and the mean tokens of a step."""
    import torch

    from selfguide.core.types import Example
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.search.protocol_check import AccessCounter
    from selfguide.tasks.load import load_task
    from selfguide.training.batches import choose_batches
    from selfguide.training.packing import grouped
    from selfguide.training.rows import build_rows
    from selfguide.training.trainer import student_model

    settings = config.finetuning
    task, gold = load_task(config.task, config.data, config.seed)
    AccessCounter(config, gold, "benchmarks.speed")
    tokenizer = load_prompt_tokenizer(config.model)
    pairs = [Example(one.input, one.references[0]) for one in gold.open("test", "benchmark")[:96]]
    rows = build_rows(task, pairs, tokenizer, settings, config.seed).rows
    torch.manual_seed(0)
    model = student_model(config, "cpu").train()
    batches, reason = choose_batches(model, rows, 0, settings.packing)
    if reason:
        raise SystemExit(reason)
    order = list(range(len(rows)))
    Random(0).shuffle(order)
    order = grouped(order, rows, settings.batch_size, Random(0)) if settings.packing != "none" else order
    cut = [order[start : start + settings.batch_size] for start in range(0, len(order), settings.batch_size)]
    collated = [batches.collate([rows[index] for index in part]) for part in cut]
    turns = itertools.cycle(cut)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate)

    def step() -> None:
        inputs = batches.masked(batches.collate([rows[index] for index in next(turns)]))
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.dtype == "mixed"):
            labels = inputs.pop("labels")
            if batches.loss is None:
                loss = model(**inputs, labels=labels).loss
            else:
                loss = batches.loss(model(**inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step, statistics.fmean(batch["input_ids"].numel() for batch in collated)


def show(table: dict[str, Any]) -> None:
    """One table."""
    print(f"{table['model']}, {table['task']}")
    for name in WAYS:
        row = table[name]
        rates = "  ".join(f"{rate:7.3f}" for rate in row["steps_per_second"])
        print(
            f"  {name:<14}{rates}  steps/s  x {row['times']:.2f}  {row['tokens_per_step']:.0f} tokens a step",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""`selfguide plan task=… model=…`: what the same run of `selfguide.main` would take; see `conf/plan.yaml`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.config.schema import RunConfig

BUSY = 0.7
FORECAST = ("selfguide", "few_shot_icl", "few_shot_finetune")  # the stages of other methods are not measured


def main() -> None:
    """A run's forecast, or with +table=NAME a table's."""
    if any(word.lstrip("+").startswith("table=") for word in sys.argv[1:]):
        from selfguide.apps.plan.table import main as of_table

        of_table()
    else:
        of_run()


@command("plan")
def of_run(config: DictConfig) -> None:
    """Forecast, and print it."""
    from selfguide.config.command import run_overrides
    from selfguide.config.validate import typed
    from selfguide.search.freeze import with_lock

    run_config = typed(with_lock(config, run_overrides()))
    made = forecast_of(run_config)
    show(run_config, made.predicted)
    if made.busy < BUSY:
        print(f"this machine is busy: the small round got {made.busy:.0%} of a processor, so times are uncertain")
    print(f"kept: {made.file}; the run's report will compare it with the facts")


class Made(NamedTuple):
    """A forecast, its file, and the share of a processor that the small round got."""

    predicted: dict[str, Any]
    file: Path
    busy: float


def forecast_of(run_config: "RunConfig") -> Made:
    """Measure a small round, forecast, and keep the forecast where the run finds it. Raises `ConfigError`."""
    from selfguide.core.errors import ConfigError

    if run_config.plan is None:
        raise ConfigError("plan: has no value; start this command as selfguide plan")
    from selfguide.analysis.forecast import save_forecast
    from selfguide.apps.plan.forecast import forecast, sweep_forecast
    from selfguide.apps.plan.probe import probe
    from selfguide.models.memory import GIB

    if run_config.method.kind not in FORECAST or run_config.student.kind != "causal":
        raise ConfigError(
            f"method.kind: {run_config.method.kind} with student={run_config.student.kind} cannot be forecast yet; "
            f"allowed: {' | '.join(FORECAST)} with student=causal"
        )
    if run_config.finetuning.objective != "sft":
        raise ConfigError(
            f"finetuning.objective: {run_config.finetuning.objective} cannot be forecast yet; allowed: sft"
        )
    measured = probe(run_config, run_config.plan)
    gpu = "device" in measured.memory
    if gpu:
        # What waits for a GPU does not need the processor.
        measured = replace(measured, busy=1.0)
    predicted = forecast(run_config, measured, run_config.plan.draws, gpu)
    if run_config.sweep is not None:
        predicted["sweep"] = sweep_forecast(predicted, *sweep_size(run_config))
    predicted["memory_gib"] = dict(memory_rows(run_config))
    if gpu and predicted["memory_gib"]:
        needed = max(
            float(size) for name, size in predicted["memory_gib"].items() if name.startswith(("training", "ans"))
        )
        size = {"value": needed * GIB, "low": 0.8 * needed * GIB, "high": 1.2 * needed * GIB}
        predicted["quantities"]["memory.device"] = size
    return Made(predicted, save_forecast(run_config, predicted), measured.busy)


def memory_rows(config: "RunConfig") -> list[tuple[str, str]]:
    """What training and answering take of the device by the memory model, rows as long as they may be."""
    from selfguide.models.devices import free_memory
    from selfguide.models.source import context_length
    from selfguide.training.fitting import memory_table, training_device

    if config.finetuning.kind == "none":
        return []
    tokens = min(config.finetuning.max_length, context_length(config.model))
    return memory_table(config, free_memory(training_device(config)), tokens)


def sweep_size(config: "RunConfig") -> tuple[int, int, int, int]:
    """(settings, settings that differ in more than the epoch, tasks, seeds) of the sweep. Raises `ConfigError`."""
    from selfguide.search.space import read_space

    sweep = config.sweep
    assert sweep is not None
    points = read_space(sweep.space, []).points()
    limit = sweep.trials
    settings = len(points) if points is not None else limit or 0
    if limit is not None:
        settings = min(settings, limit)
    distinct = settings
    if points is not None and settings == len(points):
        rest = {tuple(sorted((k, str(v)) for k, v in p.items() if k != "finetuning.epochs")) for p in points}
        distinct = len(rest)
    return settings, distinct, max(len(sweep.tasks), 1), max(len(sweep.seeds), 1)


def show(config: "RunConfig", predicted: dict[str, Any]) -> None:
    """The forecast as a table."""
    from selfguide.analysis.running import amount, duration, label
    from selfguide.core.console import Terminal

    terminal = Terminal()
    rows = [
        (label(name), amount(name, row["value"]), f"{amount(name, row['low'])} to {amount(name, row['high'])}")
        for name, row in predicted["quantities"].items()
    ]
    model, engine = config.model.name, config.engine.name
    title = f"forecast: {config.method.name} on {config.task.name}, model {model}, engine {engine}"
    terminal.table(title, ("", "forecast", f"{predicted['level']:.0%} interval"), rows)
    if predicted.get("memory_gib"):
        terminal.table("device memory in GiB, from the model's sizes", ("", "GiB"), [*predicted["memory_gib"].items()])
    if "sweep" in predicted:
        sweep, seconds = predicted["sweep"], predicted["sweep"]["seconds"]
        terminal.say(
            f"the whole sweep: {sweep['jobs']} jobs ({sweep['settings']} settings x {sweep['tasks']} tasks x "
            f"{sweep['seeds']} seeds), {duration(seconds['value'])} of work one after another "
            f"({duration(seconds['low'])} to {duration(seconds['high'])}) if every task is like this one; "
            "racing skips jobs"
        )

"""The forecast against processes whose truth is known, and against a real run."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.forecast import find_forecast, forecast_file, save_forecast
from selfguide.analysis.running import forecast_rows
from selfguide.apps.plan.command import sweep_size
from selfguide.apps.plan.forecast import forecast, sweep_forecast
from selfguide.apps.plan.measured import Calls, Measured, Training
from selfguide.apps.plan.probe import probe, shrunk
from selfguide.config.schema import ForecastConfig, RunConfig
from selfguide.core.console import Terminal
from selfguide.pipeline import run
from selfguide.tasks.gold import GoldData
from tests import cli
from tests.composing import composed, run_config
from tests.export.runs import model_overrides
from tests.models.checkpoints import tiny_model
from tests.tiny_task import smoke, write_task

CALLS = Calls(16, 1600, 160, 8.0)


def measured(**changes: object) -> Measured:
    values: dict[str, object] = {
        "start": 1.0, "inputs": CALLS, "passed": 12, "accepted": 12, "outputs": Calls(8, 800, 80, 4.0), "elected": 7,
        "labels": {}, "training": Training(2.0, (0.5, 0.5), 600.0), "base": CALLS, "tuned": CALLS,
        "memory": {"host": 10**9},
        "instances": 100, "demonstrations": 4,
    }  # fmt: skip
    return Measured(**{**values, **changes})  # type: ignore[arg-type]


def config(*overrides: str) -> RunConfig:
    return run_config("task=json", "task.path=unused.json", "synthesis=default", *overrides)


def test_quantities_are_ordered_and_add_up() -> None:
    found = forecast(config(), measured(), 2000)["quantities"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in found.values())
    assert found["count.proposed"]["value"] == 400
    stages = sum(row["value"] for name, row in found.items() if name.startswith("seconds.") and "total" not in name)
    assert found["seconds.total"]["value"] == pytest.approx(stages, rel=0.1)
    assert found["seconds.inputs"]["value"] == pytest.approx(400 * 0.5, rel=0.1)
    assert found["prompt.inputs"]["value"] == pytest.approx(400 * 100, rel=0.05)
    assert found["seconds.tuned"]["value"] == pytest.approx(2 * found["seconds.baseline"]["value"], rel=0.1)


def test_the_same_round_gives_the_same_forecast() -> None:
    assert forecast(config(), measured(), 500) == forecast(config(), measured(), 500)


@pytest.mark.parametrize("distinct", [10_000, 120])
def test_the_interval_of_the_yield_holds_the_truth(distinct: int) -> None:
    """A model with so many different inputs in it and a pass rate of 70 %: does 90 % mean it?"""
    settings, held, rounds = config("filters.near_duplicates=null"), 0, 60
    for seed in range(rounds):
        draw = random.Random(seed)

        def propose(count: int, draw: random.Random = draw) -> tuple[int, int]:
            passed = [draw.randrange(distinct) for _ in range(count) if draw.random() < 0.7]
            return len(passed), len(set(passed))

        passed, accepted = propose(40)
        small = measured(inputs=Calls(40, 4000, 400, 20.0), passed=passed, accepted=accepted)
        row = forecast(settings, small, 400, seed=seed)["quantities"]["count.accepted_inputs"]
        held += row["low"] <= propose(400)[1] <= row["high"]
    assert held / rounds >= 0.8


def test_a_target_ends_the_rounds() -> None:
    found = forecast(config("generation.target=50"), measured(), 500)["quantities"]
    assert 50 <= found["count.accepted_inputs"]["value"] <= 60
    assert found["count.proposed"]["value"] < 120


def test_balance_and_cap_bound_the_rows() -> None:
    labels = {"yes": 6, "no": 1}
    down = forecast(config(), measured(labels=labels), 500)["quantities"]
    off = forecast(config("annotation.balance=off"), measured(labels=labels), 500)["quantities"]
    assert down["count.train"]["value"] < off["count.train"]["value"]
    capped = forecast(config("annotation.max_rows=5"), measured(), 500)["quantities"]
    assert capped["count.train"]["high"] == 5


def test_more_measured_is_narrower() -> None:
    def width(factor: int) -> float:
        small = measured(inputs=Calls(16 * factor, 1600, 160, 8.0), passed=12 * factor, accepted=12 * factor)
        row = forecast(config(), small, 2000)["quantities"]["count.accepted_inputs"]
        return float(row["high"] - row["low"])

    assert width(8) < 0.6 * width(1)


def test_a_busy_machine_may_be_faster_later_and_never_makes_it_look_sure() -> None:
    found = [forecast(config(), measured(busy=share), 2000)["quantities"] for share in (1.0, 0.1)]
    quiet, busy = (quantities["seconds.total"] for quantities in found)
    assert busy["low"] < 0.35 * quiet["low"]
    assert busy["high"] == pytest.approx(quiet["high"], rel=0.2)


def test_methods_without_synthesis_or_training() -> None:
    few = forecast(config("method=few_shot_icl", "finetuning=none"), measured(training=None), 200)["quantities"]
    assert {name for name in few if name.startswith("seconds")} == {"seconds.baseline", "seconds.total"}
    control = forecast(config("method=few_shot_finetune"), measured(), 200)["quantities"]
    assert "seconds.few_shot_finetune" in control and "seconds.inputs" not in control
    assert np.isfinite(control["seconds.total"]["value"])


def test_a_sweep_pays_for_an_epoch_once() -> None:
    one = forecast(config(), measured(), 500)
    whole = sweep_forecast(one, settings=6, distinct=2, tasks=3, seeds=1)
    assert whole["jobs"] == 18
    assert whole["seconds"]["low"] < whole["seconds"]["value"] < whole["seconds"]["high"]
    assert whole["seconds"]["value"] < sweep_forecast(one, 6, 6, 3, 1)["seconds"]["value"]


def test_the_size_of_a_sweep_is_read_from_its_definition() -> None:
    from selfguide.config.validate import typed

    sweep = typed(composed("+sweep=one_parameter_classification", config_name="plan"))
    assert sweep_size(sweep) == (30, 10, 7, 1)


def test_the_forecast_is_found_by_its_run_alone(tmp_path: Path) -> None:
    place = f"store.root={tmp_path}"
    save_forecast(config(place), {"quantities": {}, "level": 0.9})
    assert find_forecast(config(place, "tracking=tensorboard")) == {"quantities": {}, "level": 0.9}
    assert find_forecast(config(place, "seed=1")) is None
    assert forecast_file(config(place)).parent == tmp_path / "forecasts"


def test_a_real_round_and_the_run_it_forecasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_model(tmp_path / "base", max_position_embeddings=2048)
    task = write_task(tmp_path)
    overrides = smoke(
        task, tmp_path / "store", *model_overrides(base), "generation.max_new_tokens=24", "annotation.max_new_tokens=4",
        "evaluation.max_new_tokens=4", "filters.output_length=off", "filters.noise=false", "generation.target=null",
        "generation.rounds=4", "annotation.min_share=0.1",
    )  # fmt: skip
    settings = run_config(*overrides)
    sizes = ForecastConfig(proposals=8, annotated=4, trained=2, steps=2, draws=300)
    assert shrunk(settings, sizes, tmp_path).generation.prompts_per_round == 8
    with monkeypatch.context() as unopened:
        unopened.delattr(GoldData, "open")  # a forecast reads no instance
        found = probe(settings, sizes)
    assert found.inputs.units == 8
    assert 10 < found.instances < 20
    assert 0 < found.busy <= 1
    assert found.training is not None and all(step > 0 for step in found.training.steps)
    assert not (tmp_path / "store").exists()
    save_forecast(settings, forecast(settings, found, sizes.draws))
    run(settings, tmp_path / "run", Terminal(Console(file=io.StringIO())))
    folder = RunFolder.open(tmp_path / "run")
    rows = {row["name"]: row for row in forecast_rows(folder.details, folder.result)}
    assert {"proposals", "accepted inputs", "training pairs", "new inputs: time", "whole run: time"} <= set(rows)
    assert rows["proposals"]["held"] and rows["accepted inputs"]["held"]
    assert 'id="forecast"' in (tmp_path / "run" / "report.html").read_text()


def test_a_method_that_is_not_forecast_is_refused_at_once(tmp_path: Path) -> None:
    done = cli.run("selfguide.main", "plan", "method=s3", cwd=tmp_path, before=cli.nothing_heavy)
    assert done.returncode != 0
    assert "method.kind: loop" in done.stderr and "allowed: selfguide | few_shot_icl" in done.stderr


def test_a_tasks_baseline_is_answered_once_whatever_the_seeds() -> None:
    one = forecast(config(), measured(), 500)
    once, twice = (sweep_forecast(one, 4, 2, 3, seeds)["seconds"]["value"] for seeds in (1, 2))
    assert 2 * once - twice == pytest.approx(3 * one["quantities"]["seconds.baseline"]["value"])

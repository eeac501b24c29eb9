"""A table's forecast: what follows from a run's configuration alone."""

from pathlib import Path

import pytest

from selfguide.apps.plan.costs import bytes_of, cost_of, lengths_of
from selfguide.apps.plan.counts import Lengths, Work, pieces
from selfguide.apps.plan.machines import GPUS, weights_of
from selfguide.apps.plan.table import forecast_table
from selfguide.config.commands import typed_command
from selfguide.config.plan_table import CARDS, PlanTableConfig
from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir
from tests import cli
from tests.composing import composed, run_config

RECIPES = sorted(path.stem for path in (config_dir() / "method").glob("*.yaml"))
LENGTHS = Lengths(60, 100, 10, 4, 2)
BIG = ("model=vicuna_7b_v1_5", "evaluation.controls=false", "annotation.annotator=base")


def table(*overrides: str) -> PlanTableConfig:
    chosen = composed("+table=zerogen", *overrides, config_name="plan_table")
    return typed_command(chosen, PlanTableConfig)


ASSUMED = table().assume


def run(*overrides: str) -> RunConfig:
    pairs = any(override.endswith(("_pairs", "_qa")) for override in overrides)
    return run_config(f"task={'rte' if pairs else 'sst2'}", "engine=hf", *BIG, *overrides)


def work(config: RunConfig) -> Work:
    """All but the baseline."""
    total = Work()
    for piece in list(pieces(config, LENGTHS, ASSUMED))[1:]:
        total += piece.work
    return total


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_method_is_forecast(recipe: str) -> None:
    config = run(f"method={recipe}")
    rows, total = forecast_table({"row": [config]}, table(), seeds=3)
    assert rows["row"] == total and total.hours > 0
    assert (work(config).trainings == 0) == (recipe in ("few_shot_icl", "zero_shot", "self_icl", "gepa"))
    gold = recipe in ("few_shot_icl", "zero_shot", "few_shot_finetune", "gold_finetune", "gepa")
    assert (work(config).teacher_calls == 0) == gold


@pytest.mark.parametrize(
    ("overrides", "trainings"),
    [
        (["method=zerogen"], 1),
        (["method=s3_pairs"], 3),
        (["method=llm2llm"], 10),
        (["method=progen"], 3),
        (["method=rest", "method.rounds=2"], 2),
        (["method=selfguide", "evaluation.controls=true"], 2),
        (["method=selfguide", "finetuning=none"], 0),
    ],
)
def test_trainings_are_rounds_and_one(overrides: list[str], trainings: int) -> None:
    assert work(run(*overrides)).trainings == trainings


def test_selfguides_calls_are_proposals_and_votes() -> None:
    asked = work(run("method=selfguide", "generation.rounds=40"))
    assert asked.teacher_calls == pytest.approx(400 + 400 * ASSUMED.kept * 20)
    assert work(run("method=selfguide", "generation.rounds=80")).teacher_calls == 2 * asked.teacher_calls


def test_each_round_of_rest_votes_and_gepas_calls_are_answers() -> None:
    one, two = (work(run("method=rest", f"method.rounds={rounds}")) for rounds in (1, 2))
    votes = 400 * ASSUMED.kept * 20
    assert two.teacher_calls - one.teacher_calls == pytest.approx(votes)
    assert work(run("method=star", "method.items=10", "method.rounds=3")).teacher_calls == pytest.approx(3 * 10 * 20)
    few, many = (work(run("method=gepa", f"method.calls={calls}")) for calls in (100, 300))
    assert many.student_calls - few.student_calls == 200


def test_what_rows_share_counts_once() -> None:
    few, many = (run("method=zerogen_pairs", "budget=equal_rows", f"budget.rows={rows}") for rows in (10, 1000))
    rows, total = forecast_table({"few": [few], "many": [many]}, table(), seeds=1)
    assert rows["few"].work.teacher_calls == rows["many"].work.teacher_calls == total.work.teacher_calls
    assert total.work.trainings == 2 and total.hours < rows["few"].hours + rows["many"].hours
    other = run("method=zerogen_pairs", "method.propose.draw.temperature=0.5")
    _, apart = forecast_table({"few": [few], "other": [other]}, table(), seeds=1)
    assert apart.work.teacher_calls == 2 * total.work.teacher_calls


def test_a_server_writes_on_no_card_of_ours() -> None:
    data = list(pieces(run("method=selfguide"), LENGTHS, ASSUMED))[1]
    served = run("method=selfguide", "teacher=chat", "teacher.model.path=gpt-3.5-turbo")
    assert cost_of(run("method=selfguide"), data, "h100").hours > cost_of(served, data, "h100").hours == 0


def test_better_cards_take_less_and_whole_models_more_disk() -> None:
    assert tuple(GPUS) == CARDS
    config = run("method=selfguide")
    own = list(pieces(config, LENGTHS, ASSUMED))[-1]
    hours = [cost_of(config, own, card).hours for card in ("h200", "h100", "a100", "cpu")]
    assert hours == sorted(hours)
    full = run("method=s3_pairs", "finetuning=full")
    assert bytes_of([full], ASSUMED) == pytest.approx(14e9, rel=0.1)  # rounds before the last are not kept
    assert bytes_of([config], ASSUMED) < 1e9


def test_tokens_are_those_of_the_tasks_own_demonstrations() -> None:
    found = lengths_of(run(), ASSUMED)
    shown = run().task.demonstrations or []
    assert found.demonstrations == len(shown) and found.labels == 2
    assert found.input == pytest.approx(sum(len(d["input"].encode()) for d in shown) / len(shown) / 4)
    assert lengths_of(run_config("task=task1516", *BIG), ASSUMED).input == ASSUMED.input_tokens


@pytest.mark.parametrize(
    ("path", "weights"),
    [
        ("lmsys/vicuna-7b-v1.5", 7e9),
        ("openai-community/gpt2-xl", 1.56e9),
        ("Qwen/Qwen2.5-0.5B", 5e8),
        ("a/b_135m", 135e6),
    ],
)
def test_a_models_size_is_in_its_name(path: str, weights: float) -> None:
    assert weights_of(run_config("model=local", f"model.path={path}", "model.name=x").model) == weights


def test_a_model_of_no_known_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not contain its size"):
        weights_of(run_config("model=local", "model.path=/none/such", "model.name=mine").model)
    assert 3e6 < weights_of(run_config("model=micro").model) < 5e6


def test_the_command(tmp_path: Path) -> None:
    done = cli.run("selfguide.main", "plan", "+table=progen", "gpu=a100", "size=micro", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("16 runs, one a100", "ProGen, many rows", "in all, shared work once", "assumed where"):
        assert said in done.stdout
    assert not list(tmp_path.iterdir())
    wrong = cli.run("selfguide.main", "plan", "+table=progen", "gpu=abacus", cwd=tmp_path)
    assert wrong.returncode == 2 and "gpu: 'abacus' is not allowed; allowed: h200 | h100" in wrong.stderr

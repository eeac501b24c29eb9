"""The benchmark with the smallest numbers: every piece runs, and its figures add up."""

from pathlib import Path

import pytest

from benchmarks.speed.__main__ import model_overrides
from benchmarks.speed.bare import against_bare
from benchmarks.speed.random_model import random_llama
from benchmarks.speed.report import machine, show, summary
from benchmarks.speed.schedules import SCHEDULES, configuration, one_run, train
from selfguide.core.errors import ConfigError
from selfguide.models.base import Request
from selfguide.models.hf import HFEngine
from selfguide.testing.engine import GREEDY
from tests.composing import run_config
from tests.models.checkpoints import engine_config, model_config

TASK = "micro_shade_or_size"
SMALL = (
    "generation.rounds=2", "generation.prompts_per_round=4", "generation.max_new_tokens=16", "annotation.samples=2",
    "annotation.best_of=3", "annotation.max_new_tokens=8", "evaluation.limit=4", "finetuning.epochs=1",
    "finetuning.max_epochs=1",
)  # fmt: skip


@pytest.mark.slow  # three more starts of vLLM
@pytest.mark.vllm
def test_every_piece_runs_and_the_figures_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = train(TASK, tmp_path, SMALL)
    run = one_run("c_streaming", TASK, [tmp_path / "epoch-1"], SMALL)
    assert set(run["seconds"]) == {"generation", "annotation", "evaluation-0", "end"}
    assert run["total"] == pytest.approx(run["starting_and_stopping"] + run["answering"] + run["outside_vllm"])
    assert run["proposals"] == 8 and run["tokens"]["generated"] > 0
    bare = against_bare(TASK, 1, SMALL)
    assert all(rates["ratio_of_medians"] > 0 for rates in bare.values())
    report = summary({schedule: [run] for schedule in SCHEDULES}, trained, bare)
    assert report["schedules"]["b_rounds"]["times_faster_than_a_tens"] == 1
    show(report)
    assert "streaming, cache warm" in capsys.readouterr().out
    assert machine()["cores"] > 0


def test_our_schedules_have_the_default_batches() -> None:
    ours, default = configuration("b_rounds", TASK), run_config("engine=vllm")
    assert (ours.annotation.batch, ours.evaluation.batch) == (default.annotation.batch, default.evaluation.batch)
    assert [configuration(name, TASK).annotation.batch for name in ("a_tens", "a_reference", "a_same")] == [
        10,
        4096,
        10,
    ]


def test_another_model_and_dtype(tmp_path: Path) -> None:
    assert model_overrides("micro") == ("model=micro",)
    config = configuration("b_rounds", TASK, (*model_overrides(str(tmp_path)), "model.dtype=bfloat16"))
    assert (config.model.path, config.model.dtype) == (str(tmp_path), "bfloat16")
    with pytest.raises(ConfigError, match=r"model\.dtype: 'int3' is not allowed"):
        configuration("b_rounds", TASK, ("model.dtype=int3",))


def test_random_weights_are_a_checkpoint(tmp_path: Path) -> None:
    tiny = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    assert 0 < random_llama(tmp_path, num_key_value_heads=2, **tiny) < 10**6
    with HFEngine(model_config(tmp_path), engine_config()) as engine:
        [[completion]] = engine.generate([Request((5, 6, 7), GREEDY)])
    assert len(completion.token_ids) > 0

import importlib.util
import json
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from selfguide.config.identity import knobs_of
from selfguide.core.errors import ConfigError, MissingDependencyError, TrainingError
from selfguide.models.base import ScoreRequest
from selfguide.models.hf import HFEngine
from selfguide.models.loading import load_model, load_prompt_tokenizer
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.checkpoints import MARK, newest_whole
from selfguide.training.job import TrainingJob
from selfguide.training.trainer import TrainingResult, finetune, student_model, train
from selfguide.training.weights import weights_of
from tests.training.configs import copy_rows, run_config
from tests.training.killing import KillAt, Killed, wait_for


def trained_on(tiny: Path, tokenizer: PromptTokenizer, work: Path, rows: int = 20, **changes: Any) -> TrainingResult:
    return finetune(run_config(tiny, **changes), tokenizer, copy_rows(tokenizer, rows), work, seed=3)


def content(work: Path) -> dict[str, bytes]:
    return {str(path.relative_to(work)): path.read_bytes() for path in sorted(work.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def trained(tiny: Path, tokenizer: PromptTokenizer, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return trained_on(tiny, tokenizer, tmp_path_factory.mktemp("trained") / "work", max_epochs=12, epochs=12, rank=16)


def test_a_copy_task_is_learnt(trained: TrainingResult) -> None:
    assert trained.steps == 12 * 3 == len(trained.losses)
    assert sum(trained.losses[-3:]) < 0.7 * sum(trained.losses[:3])


def test_every_epoch_is_kept_and_nothing_else(trained: TrainingResult) -> None:
    work = trained.epoch_dirs[0].parent
    assert [folder.name for folder in trained.epoch_dirs] == [f"epoch-{i}" for i in range(1, 13)]
    assert {path.name for path in work.iterdir()} == {"losses.jsonl", *(folder.name for folder in trained.epoch_dirs)}
    names = [weights_of(folder, run_config("x").finetuning) for folder in trained.epoch_dirs]
    assert len({weights.name for weights in names}) == 12
    assert all(weights.rank == 16 and len(weights.name) == 16 for weights in names)


def test_the_engine_agrees_with_the_trainer(tiny: Path, tokenizer: PromptTokenizer, trained: TrainingResult) -> None:
    """The last adapter, served by the engine, has the low loss that the training ended with."""
    config = run_config(tiny)
    rows = copy_rows(tokenizer, 20)
    weights = weights_of(trained.epoch_dirs[-1], config.finetuning)
    with HFEngine(config.model, config.engine) as engine:  # type: ignore[arg-type]
        base, tuned = (
            engine.score([ScoreRequest(row.prompt_ids, row.answer_ids, w) for row in rows]) for w in (None, weights)
        )
    tokens = sum(len(row.answer_ids) for row in rows)
    losses = [-sum(sum(score) for score in scores) / tokens for scores in (base, tuned)]
    assert losses[1] < 0.7 * losses[0]
    assert losses[1] == pytest.approx(sum(trained.losses[-3:]) / 3, rel=0.25)


def test_same_rows_and_seed_give_the_same_bytes(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        trained_on(tiny, tokenizer, tmp_path / name, dropout=0.1)
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize("rows", [20, 3])
def test_micro_batches_change_nothing_but_rounding(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, rows: int
) -> None:
    whole = trained_on(tiny, tokenizer, tmp_path / "whole", rows)
    cut = trained_on(tiny, tokenizer, tmp_path / "cut", rows, micro_batch_size=3)
    assert whole.losses == pytest.approx(cut.losses, rel=1e-3)
    assert whole.steps == cut.steps == 2 * -(-rows // 8)


def test_the_loss_is_the_mean_over_answer_tokens(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    result = trained_on(tiny, tokenizer, tmp_path, rows=8, max_epochs=1, epochs=1)
    config, rows = run_config(tiny), copy_rows(tokenizer, 8)
    with HFEngine(config.model, config.engine) as engine:  # type: ignore[arg-type]
        scores = engine.score([ScoreRequest(row.prompt_ids, row.answer_ids) for row in rows])
    tokens = sum(len(row.answer_ids) for row in rows)
    assert result.losses[0] == pytest.approx(-sum(sum(score) for score in scores) / tokens, rel=1e-4)
    assert result.trained_tokens == tokens


@pytest.mark.parametrize("step", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 4, 5))])
def test_resuming_gives_the_same_bytes(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, step: int) -> None:
    """3 steps in an epoch: killed in its middle, at its very end, and just after."""
    changes: dict[str, Any] = {"dropout": 0.1, "save_every_s": 1e-9, "micro_batch_size": 4}
    trained_on(tiny, tokenizer, tmp_path / "whole", **changes)
    config, rows, work = run_config(tiny, **changes), copy_rows(tokenizer, 20), tmp_path / "cut"
    with pytest.raises(Killed):
        train(TrainingJob(config, tokenizer, rows, work, 3), KillAt(step))
    torch.manual_seed(99)
    second = KillAt(1000)
    result = finetune(config, tokenizer, rows, work, 3, second)
    assert second.resumed == step - 1, "the checkpoint of the step before was used"
    assert len(result.losses) == 6
    assert content(work) == content(tmp_path / "whole")


def test_a_torn_checkpoint_is_ignored(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"save_every_s": 1e-9}
    trained_on(tiny, tokenizer, tmp_path / "whole", **changes)
    config, rows, work = run_config(tiny, **changes), copy_rows(tokenizer, 20), tmp_path / "cut"
    with pytest.raises(Killed):
        train(TrainingJob(config, tokenizer, rows, work, 3), KillAt(5))
    newest = newest_whole(work)
    assert newest is not None
    torn = work / "checkpoint-5"
    shutil.copytree(newest, torn)
    (torn / MARK).unlink()
    (torn / "optimizer.pt").write_bytes(b"half")
    finetune(config, tokenizer, rows, work, 3)
    assert content(work) == content(tmp_path / "whole")


PARENT = """
import pickle, sys
from selfguide.training.trainer import finetune
finetune(*pickle.load(open(sys.argv[1], "rb")))
"""


@pytest.mark.slow
def test_kill_9_and_again_gives_the_same_bytes(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    """The process that asked for the training is killed: the one that trains ends with it."""
    config = run_config(tiny, max_epochs=16, epochs=16, save_every_s=0.01, dropout=0.1)
    rows = copy_rows(tokenizer, 16)
    finetune(config, tokenizer, rows, tmp_path / "whole", 3)
    work, given = tmp_path / "work", tmp_path / "given"
    given.write_bytes(pickle.dumps((config, tokenizer, rows, work, 3)))
    with subprocess.Popen([sys.executable, "-c", PARENT, str(given)]) as process:
        wait_for(lambda: (work / "epoch-3").exists(), 240)
        trains = [child for child in psutil.Process(process.pid).children(recursive=True) if child.is_running()]
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert len(trains) == 2, "what forks, and what it forked"
    assert not psutil.wait_procs(trains, 10)[1]
    assert not (work / "epoch-16").exists()
    assert newest_whole(work) is not None
    finetune(config, tokenizer, rows, work, 3)
    assert content(work) == content(tmp_path / "whole")


@pytest.mark.slow
def test_nothing_of_a_training_stays_in_the_process_that_asked_for_it(tiny: Path, tmp_path: Path) -> None:
    code = """
import pickle, sys
from selfguide.training.trainer import finetune
finetune(*pickle.load(open(sys.argv[1], "rb")))
import torch, gc
assert "transformers.trainer" not in sys.modules
assert not any(isinstance(thing, torch.nn.Module) for thing in gc.get_objects())
"""
    tokenizer, given = load_prompt_tokenizer(run_config(tiny).model), tmp_path / "given"
    given.write_bytes(pickle.dumps((run_config(tiny), tokenizer, copy_rows(tokenizer, 8), tmp_path / "work", 3)))
    subprocess.run([sys.executable, "-c", code, str(given)], check=True, timeout=400)
    assert (tmp_path / "work" / "epoch-2" / "adapter_model.safetensors").exists()


def test_bfloat16_weights_are_moved_by_the_paper_s_learning_rate(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    start = load_file(tiny / "model.safetensors")
    moved = {}
    for kind in ("none", "stochastic_rounding", "float32"):
        changes = {"kind": "full", "dtype": "bfloat16", "learning_rate": 5e-5, "max_epochs": 10, "epochs": 10}
        result = trained_on(tiny, tokenizer, tmp_path / kind, master_weights=kind, **changes)
        end = load_file(result.epoch_dirs[-1] / "model.safetensors")
        assert {tensor.dtype for tensor in end.values()} == {torch.bfloat16}
        same = sum(int((end[name] == start[name].to(torch.bfloat16)).sum()) for name in end)
        moved[kind] = 1 - same / sum(tensor.numel() for tensor in end.values())
    assert moved["none"] < 0.5 * min(moved["float32"], moved["stochastic_rounding"])


@pytest.mark.parametrize("kind", ["stochastic_rounding", "float32"])
def test_resuming_gives_the_same_bytes_of_rounded_weights(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, kind: str
) -> None:
    changes = {"kind": "full", "dtype": "bfloat16", "learning_rate": 1e-3, "master_weights": kind, "save_every_s": 1e-9}
    trained_on(tiny, tokenizer, tmp_path / "whole", **changes)
    job = TrainingJob(run_config(tiny, **changes), tokenizer, copy_rows(tokenizer, 20), tmp_path / "cut", 3)
    with pytest.raises(Killed):
        train(job, KillAt(4))
    trained_on(tiny, tokenizer, tmp_path / "cut", **changes)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_full_finetuning_leaves_whole_models(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    config = run_config(tiny, kind="full", learning_rate=3e-3)
    rows = copy_rows(tokenizer, 16)
    result = finetune(config, tokenizer, rows, tmp_path, seed=0)
    weights = weights_of(result.epoch_dirs[-1], config.finetuning)
    assert weights.kind == "full"
    with HFEngine(config.model, config.engine) as engine:  # type: ignore[arg-type]
        base, tuned = (
            sum(map(sum, engine.score([ScoreRequest(r.prompt_ids, r.answer_ids, w) for r in rows])))
            for w in (None, weights)
        )
    assert tuned > base


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"learning_rate": 1e30, "max_grad_norm": 1e30, "kind": "full"}, TrainingError, r"not a number at step \d"),
        ({"quantization": "4bit"}, ConfigError, "4bit needs a CUDA device"),
        ({"quantization": "4bit", "kind": "full"}, ConfigError, "needs finetuning.kind=lora"),
        ({"processes": 3}, ConfigError, "finetuning.processes: 3"),
        ({"target_modules": "nowhere"}, ConfigError, "finetuning.target_modules: nowhere"),
        ({"epochs": 3}, ConfigError, "allowed: 1 to max_epochs=2"),
    ],
)
def test_what_cannot_be_trained_is_one_clear_line(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, changes: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        trained_on(tiny, tokenizer, tmp_path, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_4_bits_without_their_package_are_one_clear_line(tiny: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"finetuning.quantization: 4bit needs the package bitsandbytes$"):
        load_model(run_config(tiny).model, device="cuda", quantization="4bit")


def test_attention_is_a_choice_of_the_training(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    assert student_model(run_config(tiny, attention="eager"), "cpu").config._attn_implementation == "eager"
    assert "attention" not in knobs_of(run_config(tiny).finetuning, "training"), "the same weights"
    with pytest.raises(ConfigError, match=r"^finetuning\.attention: flash_attention_2 needs a CUDA device, not cpu \("):
        trained_on(tiny, tokenizer, tmp_path, attention="flash_attention_2")


def test_no_rows_and_rows_beyond_the_context_are_errors(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training rows"):
        trained_on(tiny, tokenizer, tmp_path, rows=0)
    [row] = copy_rows(tokenizer, 1)
    with pytest.raises(TrainingError, match="context of 128"):
        finetune(run_config(tiny), tokenizer, [type(row)(row.prompt_ids * 60, row.answer_ids)], tmp_path, 0)


def test_losses_are_one_line_a_step(trained: TrainingResult) -> None:
    lines = (trained.epoch_dirs[0].parent / "losses.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == list(range(1, trained.steps + 1))
    assert rows[0]["learning_rate"] == pytest.approx(1e-2)
    assert rows[-1]["learning_rate"] < 1e-2 / 10


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_training_that_changed_nothing_is_an_error(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, kind: str
) -> None:
    with pytest.raises(TrainingError, match="the training changed no weight"):
        trained_on(tiny, tokenizer, tmp_path, rows=8, max_epochs=1, epochs=1, kind=kind, learning_rate=1e-60)


def test_a_single_step_has_no_warm_up(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    """Its learning rate would be 0."""
    result = trained_on(tiny, tokenizer, tmp_path, rows=8, max_epochs=1, epochs=1, warmup_fraction=0.5)
    assert result.steps == 1

"""Every setting of a training does what it says: against a loop of plain PyTorch, and by what is logged."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from selfguide.models.loading import load_model
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.batches import IGNORED, Padded
from selfguide.training.job import TrainingJob
from selfguide.training.rows import TrainingRow
from selfguide.training.trainer import student_model, train
from tests.training.configs import copy_rows, run_config

STEPS = 8


def trained(config: Any, tokenizer: PromptTokenizer, rows: list[TrainingRow], work: Path, seed: int) -> list[float]:
    """The losses of a training in this process."""
    train(TrainingJob(config, tokenizer, rows, work, seed))
    return logged(work, "loss")


def logged(work: Path, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (work / "losses.jsonl").read_text().splitlines()]


def factor(schedule: str, warmup: int, step: int) -> float:
    """Of the learning rate at a step that is counted from 0, by the schedules' textbook forms."""
    if step < warmup:
        return step / warmup
    done = (step - warmup) / (STEPS - warmup)
    return {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[schedule]


def by_hand(config: Any, rows: list[TrainingRow], warmup: int) -> list[float]:
    """The losses of full finetuning on one batch a step: AdamW, decay of matrices alone, clipped gradients."""
    settings = config.finetuning
    model = load_model(config.model, device="cpu", dtype="float32")
    model.train()
    groups = [
        {"params": [p for p in model.parameters() if (p.ndim > 1) == decays], "weight_decay": decay}
        for decays, decay in ((True, settings.weight_decay), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
    batch, losses = Padded(0).collate(rows), []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor(settings.schedule, warmup, step)
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("schedule", "warmup", "changes"),
    [
        ("linear", 0, {"weight_decay": 0.4}),
        ("cosine", 2, {"max_grad_norm": 1e-6}),
        ("constant", 4, {"max_grad_norm": 1e-7, "weight_decay": 0.1}),
    ],
)
def test_losses_and_learning_rates_are_those_of_the_textbook(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, schedule: str, warmup: int, changes: dict[str, Any]
) -> None:
    rows = copy_rows(tokenizer, 6)
    config = run_config(
        tiny, kind="full", schedule=schedule, warmup_fraction=warmup / STEPS, max_epochs=STEPS, epochs=STEPS, **changes
    )
    losses = trained(config, tokenizer, rows, tmp_path, seed=1)
    rates = [1e-2 * factor(schedule, warmup, step) for step in range(STEPS)]
    assert logged(tmp_path, "learning_rate") == pytest.approx(rates, rel=1e-6, abs=1e-12)
    assert losses == pytest.approx(by_hand(config, rows, warmup), rel=1e-5)


@pytest.mark.parametrize("changes", [{"weight_decay": 0.4}, {"max_grad_norm": 1e-6}, {"warmup_fraction": 0.5}])
def test_a_setting_moves_the_losses(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """By far more than the tolerance above. (A gradient is clipped to next to nothing: else Adam makes up for it.)"""
    rows = copy_rows(tokenizer, 6)
    losses = [
        trained(run_config(tiny, kind="full", max_epochs=4, epochs=4, **given), tokenizer, rows, tmp_path / name, 1)
        for name, given in (("without", {}), ("with", changes))
    ]
    assert abs(losses[0][-1] / losses[1][-1] - 1) > 3e-3


def test_the_adapter_is_as_configured(tiny: Path) -> None:
    changes = {"rank": 4, "alpha": 12.0, "dropout": 0.25}
    lora = student_model(run_config(tiny, **changes), "cpu").peft_config["default"]
    assert (lora.r, lora.lora_alpha, lora.lora_dropout) == (4, 12.0, 0.25)
    linear = {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    assert {name.rpartition(".")[2] for name in lora.target_modules} == linear
    two = student_model(run_config(tiny, target_modules="q_proj, v_proj"), "cpu").peft_config["default"]
    assert set(two.target_modules) == {"q_proj", "v_proj"}


def still(tiny: Path, tokenizer: PromptTokenizer, work: Path, seed: int, **changes: Any) -> list[float]:
    """Three epochs of one row a step that learn next to nothing: a step's loss tells its row."""
    knobs = {"learning_rate": 1e-12, "batch_size": 1, "micro_batch_size": 1, "max_epochs": 3, "epochs": 3}
    return trained(run_config(tiny, **knobs | changes), tokenizer, copy_rows(tokenizer, 8), work, seed)


def test_every_epoch_has_every_row_in_an_order_of_its_own(
    tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    orders = []
    for seed in (1, 2):
        losses = [round(loss, 5) for loss in still(tiny, tokenizer, tmp_path / str(seed), seed)]
        orders += [losses[start : start + 8] for start in (0, 8, 16)]
    assert len(set(orders[0])) == 8
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert all(one != other for one, other in itertools.combinations(orders, 2))


def test_another_seed_begins_with_other_adapters(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    weights = []
    for seed in (1, 2):
        still(tiny, tokenizer, tmp_path / str(seed), seed, max_epochs=1, epochs=1)
        weights.append(load_file(tmp_path / str(seed) / "epoch-1" / "adapter_model.safetensors"))
    names = [name for name in weights[0] if "lora_A" in name]
    assert names and all(not torch.allclose(weights[0][name], weights[1][name]) for name in names)


def test_a_batch_is_padded_on_the_right_and_learns_from_answers_alone() -> None:
    batch = Padded(9).collate([TrainingRow((5, 6), (7, 1)), TrainingRow((8,), (1,))])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 1], [8, 1, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 7, 1], [IGNORED, 1, IGNORED, IGNORED]]

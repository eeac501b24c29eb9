"""Small training configurations and data."""

from pathlib import Path
from typing import Any

from selfguide.config.preference import PreferenceConfig
from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.rows import TrainingRow
from tests.models.checkpoints import engine_config, model_config


def finetuning_config(**changes: Any) -> FinetuningConfig:
    values: dict[str, Any] = {
        "kind": "lora",
        "objective": "sft",
        "preference": PreferenceConfig(0.1, 1e-3, 1, True, 0.2),
        "epochs": 2,
        "max_epochs": 2,
        "learning_rate": 1e-2,
        "schedule": "linear",
        "warmup_fraction": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "batch_size": 8,
        "micro_batch_size": 8,
        "max_length": 1024,
        "over_length": "drop",
        "shuffle_demonstrations": False,
        "demonstration_copies": 10,
        "added_demonstrations": 0,
        "rank": 8,
        "alpha": 16,
        "dropout": 0.0,
        "target_modules": "all-linear",
        "packing": "prefix",
        "dtype": "auto",
        "master_weights": "float32",
        "optimizer": "adamw",
        "gradient_checkpointing": False,
        "attention": "auto",
        "quantization": "none",
        "processes": 1,
        "sharding": "none",
        "save_every_s": 1e9,
    }
    return FinetuningConfig(**{**values, **changes})


def run_config(model: str | Path, **changes: Any) -> RunConfig:
    """The sections that training reads."""
    return RunConfig(model=model_config(model), engine=engine_config(), finetuning=finetuning_config(**changes), seed=0)


def copy_rows(tokenizer: PromptTokenizer, count: int) -> list[TrainingRow]:
    """ "abc>" -> "abc": rows of unequal length, so that padding matters."""
    letters = "abcdefgh"
    texts = [letters[i % 8] * (1 + i % 3) + letters[(3 * i) % 8] for i in range(count)]
    return [
        TrainingRow(tuple(tokenizer.tokenizer(f"{text}>").input_ids), tokenizer.encode_answer(text)) for text in texts
    ]

"""Training on preferences (DPO, arXiv 2305.18290; ORPO, arXiv 2403.07691) by TRL's trainers, on our own token ids.

Order of rows, checkpoints, weights of every epoch and the reference log-probabilities are those of supervised training,
so a killed training goes on to the same weights. What is TRL's: the losses. DPO's reference is the base model with the
adapter off, also where the adapter was finetuned before (TRL would take a copy of that adapter). ORPO's
likelihood term is over prompt and answer. Rows are not packed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.core.optional import optional
from selfguide.training.rows import TrainingRow

OBJECTIVES = ("dpo", "orpo")


@dataclass(frozen=True, slots=True)
class PreferenceRow(TrainingRow):
    """`answer_ids` are the preferred answer's, `rejected_ids` the other's behind the same prompt."""

    rejected_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt_ids) + max(len(self.answer_ids), len(self.rejected_ids))


def require_trl(objective: str, module: str = "trl") -> Any:
    """TRL, or a module of it. Raises `MissingDependencyError` where it is not installed."""
    return optional(module, f"finetuning.objective={objective}", "preference")


def preference_trainer(
    objective: str, beta: float, model: Any, rows: Sequence[Any], output: Path, common: dict[str, Any]
) -> Any:
    """TRL's trainer of `objective` for a model with adapters; `common` are arguments of ours and of `Trainer`.

    `common` has "arguments" (of `trainer_arguments`), "tokenizer" and "callbacks". A forward pass takes both answers,
    so half as many rows as those arguments allow go through one at a time.
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from transformers import PrinterCallback

    from selfguide.training.hooks import RowTrainer, trainer_arguments

    kind, config = _dpo() if objective == "dpo" else _orpo()
    arguments: dict[str, Any] = {**common["arguments"], "beta": beta, "max_length": None}
    size, accumulated = arguments["per_device_train_batch_size"], arguments["gradient_accumulation_steps"]
    half = next(each for each in range(max(1, size // 2), 0, -1) if (size * accumulated) % each == 0)
    arguments |= {"per_device_train_batch_size": half, "gradient_accumulation_steps": size * accumulated // half}
    if objective == "orpo":
        arguments["max_length"] = max(map(len, rows))
    ordered = type("Preferring", (kind,), {
        "_get_train_sampler": RowTrainer._get_train_sampler,
        "create_model_card": lambda self, *_, **__: None,
        "order_seed": 0, "per_epoch": 1, "rows": len(rows), "arrange": None,
    })  # fmt: skip
    args = trainer_arguments(output, common["device"], common["seed"], config, **arguments)
    trainer = ordered(
        model=model,
        args=args,
        train_dataset=_features(objective, rows),
        processing_class=common["tokenizer"],
        callbacks=common["callbacks"],
    )
    trainer.remove_callback(PrinterCallback)
    if "ref" in trainer.model.peft_config:
        trainer.model.delete_adapter("ref")  # the reference is the base model
        trainer.model.set_adapter("default")
    return trainer


def load_adapter(model: Any, folder: Path) -> None:
    """The adapters' weights of a finished training, in place of fresh ones."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))


def _dpo() -> tuple[type, type]:
    trl = require_trl("dpo")

    class OnIds(trl.DPOTrainer):  # type: ignore[misc, name-defined]
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    return OnIds, trl.DPOConfig


def _orpo() -> tuple[type, type]:
    trl = require_trl("orpo", "trl.experimental.orpo")
    return trl.ORPOTrainer, trl.ORPOConfig


class _Ready(list[dict[str, Any]]):
    """Rows in their final form, where a trainer would map over texts."""

    def map(self, *_: Any, **__: Any) -> "_Ready":
        return self


def _features(objective: str, rows: Sequence[PreferenceRow]) -> Any:
    if objective == "dpo":
        return require_trl(objective, "datasets").Dataset.from_dict(
            {
                "prompt_ids": [row.prompt_ids for row in rows],
                "chosen_ids": [row.answer_ids for row in rows],
                "rejected_ids": [row.rejected_ids for row in rows],
            }
        )
    return _Ready(_orpo_row(row) for row in rows)


def _orpo_row(row: PreferenceRow) -> dict[str, list[int]]:
    found = {"prompt_input_ids": list(row.prompt_ids), "prompt_attention_mask": [1] * len(row.prompt_ids)}
    for name, answer in (("chosen", row.answer_ids), ("rejected", row.rejected_ids)):
        ids = [*row.prompt_ids, *answer]
        found[f"{name}_input_ids"], found[f"{name}_attention_mask"] = ids, [1] * len(ids)
        found[f"{name}_labels"] = [-100] * len(row.prompt_ids) + list(answer)
    return found

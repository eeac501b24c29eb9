"""Step 5: the same model finetuned on its own data, by transformers.Trainer on our own token ids.

A killed training goes on from its last whole checkpoint and ends in the same weights.
"""

import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.core.files import write_text
from selfguide.core.seeding import child_seed
from selfguide.models.attention import check_attention
from selfguide.models.loading import context_length, load_model, pick_device, resolve_model
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.checkpoints import newest_whole
from selfguide.training.processes import check_processes, launch, workers
from selfguide.training.reference import write_reference
from selfguide.training.rows import TrainingRow
from selfguide.training.sharding import check_sharding, resumable, shard_on_cpu, sharding_arguments, whole_weights

LOSSES = "losses.jsonl"


class TrainingProgress(Protocol):
    """Who is told about steps: a progress bar of `selfguide.core`, for one."""

    def resume(self, done: int) -> None:
        """Steps that an earlier, killed run made."""

    def advance(self, count: int, **fields: object) -> None:
        """Steps made since the last call, with the loss."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left: one folder of weights per epoch, the loss of every step, counts."""

    epoch_dirs: tuple[Path, ...]
    losses: tuple[float, ...]
    steps: int
    trained_tokens: int


def steps_per_epoch(config: FinetuningConfig, rows: int) -> int:
    """Optimizer steps in one epoch over `rows` rows; the last one may hold fewer than `batch_size`."""
    return math.ceil(rows / config.batch_size)


def finetune(
    config: RunConfig,
    tokenizer: PromptTokenizer,
    rows: Sequence[TrainingRow],
    work: Path,
    seed: int,
    progress: TrainingProgress | None = None,
) -> TrainingResult:
    """Finetune on `rows` and leave `epoch-1/ … epoch-N/` (safetensors) and `losses.jsonl` in `work`.

    Called again with the same `work` after a kill, it goes on where it was. Raises `TrainingError`
    (no rows, a row beyond the model's context, a loss that is not a number) and `ConfigError`
    (a knob that this machine or these packages do not serve).
    """
    settings = config.finetuning
    _check(config, rows)
    work.mkdir(parents=True, exist_ok=True)
    per_epoch = steps_per_epoch(settings, len(rows))
    total = per_epoch * settings.max_epochs
    checkpoint = resumable(newest_whole(work), settings)
    done = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    losses = _kept_losses(work / LOSSES, done)
    if progress is not None:
        progress.resume(done)
    if settings.processes > 1 and workers() == 1:
        launch(config, rows, work, seed, work / LOSSES, done, progress)
    else:
        trainer = _trainer(config, tokenizer, rows, work, seed, per_epoch, progress)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if workers() > 1:
            return TrainingResult((), (), total, 0)  # what is in the folder is the launching process's to read
    losses = _kept_losses(work / LOSSES, total)
    for path in work.glob("checkpoint-*"):
        shutil.rmtree(path)
    return TrainingResult(
        epoch_dirs=tuple(work / f"epoch-{epoch}" for epoch in range(1, settings.max_epochs + 1)),
        losses=tuple(losses),
        steps=total,
        trained_tokens=settings.max_epochs * sum(len(row.answer_ids) for row in rows),
    )


def _check(config: RunConfig, rows: Sequence[TrainingRow]) -> None:
    settings = config.finetuning
    if not rows:
        raise TrainingError("no training rows")
    limit = context_length(config.model)
    longest = max(len(row) for row in rows)
    if longest > limit:
        raise TrainingError(
            f"a training row of {longest} tokens does not fit the model's context of {limit}; "
            f"finetuning.max_length={limit} leaves such rows out"
        )
    if any(not row.answer_ids for row in rows):
        raise TrainingError("a training row has no token to learn from")
    if settings.epochs > settings.max_epochs:
        raise ConfigError(
            f"finetuning.epochs: {settings.epochs} is not allowed; allowed: 1 to max_epochs={settings.max_epochs}"
        )
    if settings.quantization != "none" and settings.kind != "lora":
        raise ConfigError(f"finetuning.quantization: {settings.quantization} needs finetuning.kind=lora")
    check_sharding(settings)
    device = pick_device(getattr(config.engine, "device", "auto"))
    check_attention(settings.attention, device, settings.dtype, "finetuning", "finetuning")
    if settings.processes > 1:
        check_processes(settings, device)


def _trainer(
    config: RunConfig,
    tokenizer: PromptTokenizer,
    rows: Sequence[TrainingRow],
    work: Path,
    seed: int,
    per_epoch: int,
    progress: TrainingProgress | None,
) -> Any:
    import torch
    from transformers import TrainingArguments, set_seed

    from selfguide.training.hooks import FILLER, Recorder, RowTrainer, collate

    settings = config.finetuning
    device = pick_device(getattr(config.engine, "device", "auto"))
    if workers() > 1 and device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    elif ":" in device:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    set_seed(child_seed(seed, "finetuning") % 2**32)
    model = _student(config, device)
    micro = _micro_batch(settings)
    asked: dict[str, Any] = {
        "output_dir": str(work),
        "num_train_epochs": settings.max_epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch_size // (micro * workers()),
        "ddp_backend": "gloo" if workers() > 1 and device == "cpu" else None,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": settings.warmup_fraction,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": "adamw_torch",
        "bf16": next(model.parameters()).dtype == torch.bfloat16,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if settings.gradient_checkpointing else None,
        "seed": child_seed(seed, "finetuning") % 2**32,
        "use_cpu": device == "cpu",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": device.startswith("cuda"),
    }
    arguments = TrainingArguments(**(asked | sharding_arguments(settings)))
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # several visible GPUs would otherwise be used by threads of this process
    pad = tokenizer.tokenizer.pad_token_id
    trainer = RowTrainer(
        model=model,
        args=arguments,
        train_dataset=[*rows, *[FILLER] * (-len(rows) % (micro * workers()) if workers() > 1 else 0)],
        data_collator=lambda batch: collate(batch, tokenizer.eos_token_id if pad is None else pad),
        callbacks=[
            Recorder(
                work,
                per_epoch,
                settings.save_every_s,
                lambda folder: _save(trainer, config, tokenizer, rows, folder),
                progress,
            )
        ],
    )
    shard_on_cpu(trainer)
    trainer.order_seed = child_seed(seed, "order")
    trainer.per_epoch = per_epoch
    trainer.rows = len(rows)
    return trainer


def _student(config: RunConfig, device: str) -> Any:
    """The model to train: with adapters on its linear layers, or with every weight free."""
    settings = config.finetuning
    model = load_model(
        config.model,
        device=device,
        dtype=settings.dtype,
        attention=settings.attention,
        quantization=settings.quantization,
    )
    model.config.use_cache = False
    if settings.kind == "full":
        return model
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if settings.quantization != "none":
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    targets = settings.target_modules
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, lora)
    except ValueError as error:
        raise ConfigError(f"finetuning.target_modules: {targets}: {str(error).splitlines()[0][:200]}") from error


def _save(
    trainer: Any, config: RunConfig, tokenizer: PromptTokenizer, rows: Sequence[TrainingRow], folder: Path
) -> None:
    """Weights of an epoch, servable as they are: an adapter, or a whole model with its tokenizer.

    Sharded weights are gathered, and asked, by all processes together; the first one writes.
    """
    model, first = trainer.model, trainer.is_world_process_zero()
    weights = whole_weights(trainer)
    if first:
        model.save_pretrained(folder, state_dict=weights)
    write_reference(model, rows, folder if first else None)
    if not first:
        return
    if config.finetuning.kind == "full":
        model.config.use_cache = True
        model.config.save_pretrained(folder)
        model.config.use_cache = False
        tokenizer.tokenizer.save_pretrained(folder)
        return
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    source = resolve_model(config.model)
    settings["base_model_name_or_path"], settings["revision"] = source.location, source.revision
    if isinstance(settings["target_modules"], list):
        settings["target_modules"].sort()  # a set in peft: its order changes from process to process
    write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _micro_batch(settings: FinetuningConfig) -> int:
    """The largest divisor of the batch that is at most `micro_batch_size`: every step then has whole micro-batches."""
    return max(
        size
        for size in range(1, settings.batch_size + 1)
        if settings.batch_size % (size * workers()) == 0 and size <= settings.micro_batch_size
    )


def _kept_losses(path: Path, steps: int) -> list[float]:
    """The losses of the first `steps` steps; later or torn lines of a killed run are cut off the file."""
    kept: list[float] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines()[:steps]:
            try:
                kept.append(float(json.loads(line)["loss"]))
            except (ValueError, KeyError):
                break
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[: len(kept)]
        write_text(path, "".join(lines))
    return kept

"""Step 5: the same model finetuned on its own data, by transformers.Trainer on our own token ids.

A killed training goes on from its last whole checkpoint and ends in the same weights.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfguide.config.schema import RunConfig
from selfguide.core.child import call
from selfguide.core.console import log_once
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.core.files import json_text, write_text
from selfguide.core.seeding import child_seed
from selfguide.models.devices import free_memory
from selfguide.models.hf import is_out_of_memory
from selfguide.models.source import context_length, resolve_model
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.changed import check_changed
from selfguide.training.checkpoints import newest_whole, remove_all
from selfguide.training.distributed import (
    is_first,
    leave_group,
    prepare_process,
    process_count,
    sole_writer,
)
from selfguide.training.fitting import (
    OutOfMemoryError,
    choose,
    micro_batches,
    remember_too_large,
    training_device,
    with_fit,
)
from selfguide.training.job import TrainingJob, TrainingProgress
from selfguide.training.packing import grouped, rows_per_pass, tokens_per_pass
from selfguide.training.preference import PreferenceRow, load_adapter, preference_trainer
from selfguide.training.preflight import check_settings
from selfguide.training.reference import write_reference_logprobs
from selfguide.training.rows import TrainingRow
from selfguide.training.sharding import resumable, shard_on_cpu, sharding_arguments, whole_weights
from selfguide.training.student import optimizer_name, rounding, student_model

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left: one folder of weights per epoch, the loss of every step, counts, whether it was packed."""

    epoch_dirs: tuple[Path, ...]
    losses: tuple[float, ...]
    steps: int
    trained_tokens: int
    packed: bool


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
    return carry_out(TrainingJob(config, tokenizer, rows, work, seed), progress)


def carry_out(job: TrainingJob, progress: TrainingProgress | None = None) -> TrainingResult:
    """The same of a job."""
    config, rows, work = job.config, job.rows, job.work
    _check(job)
    with sole_writer(work):
        _, reported = _state(job)
    if progress is not None:
        progress.resume(reported)

    def report() -> None:
        nonlocal reported
        lines = job.losses.read_bytes().split(b"\n")[:-1] if job.losses.exists() else []
        if progress is not None and len(lines) > reported:
            progress.advance(len(lines) - reported, loss=f"{json.loads(lines[-1])['loss']:.3f}")
        reported = max(len(lines), reported)

    # Packed rows fill a pass up to `micro_batch_size` rows of the greatest length; side by side they have their own.
    packing = config.finetuning.packing == "prefix"
    longest = config.finetuning.max_length if packing else max(len(row) for row in rows)
    while True:
        fit = choose(config, longest, free_memory(_device(job)))
        try:
            fitting = replace(config, finetuning=with_fit(config.finetuning, fit))
            packed = call(train, replace(job, config=fitting), processes=job.settings.processes, watch=report)
            break
        except OutOfMemoryError as error:
            remember_too_large(config, fit)
            log_once(log, f"{error}; the training continues with less at once")
    losses = _kept_losses(job.losses, job.steps)
    remove_all(work)
    epochs = job.settings.max_epochs
    check_changed(config, work / f"epoch-{epochs}")
    return TrainingResult(
        epoch_dirs=tuple(work / f"epoch-{epoch}" for epoch in range(1, epochs + 1)),
        losses=tuple(losses),
        steps=job.steps,
        trained_tokens=epochs * sum(len(row.answer_ids) for row in rows),
        packed=packed,
    )


def train(job: TrainingJob, progress: TrainingProgress | None = None) -> bool:
    """The training itself, in this process, which may be one of several. Whether the rows were packed."""
    job.work.mkdir(parents=True, exist_ok=True)
    with sole_writer(job.work):
        checkpoint, done = _state(job)
        if progress is not None:
            progress.resume(done)
        try:
            trainer = _trainer(job, progress)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            size, recompute = job.settings.micro_batch_size, job.settings.gradient_checkpointing
            how = f"{size} rows at a time" + (" and gradient checkpointing" if recompute else "")
            raise OutOfMemoryError(f"out of memory in training with {how}") from None
        leave_group()
        return trainer.arrange is not None


def _state(job: TrainingJob) -> tuple[Path | None, int]:
    """The checkpoint that a killed training left, and its step; what it wrote after that is cut off."""
    job.work.mkdir(parents=True, exist_ok=True)
    checkpoint = resumable(newest_whole(job.work), job.settings)
    done = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    _kept_losses(job.losses, done)
    return checkpoint, done


def _check(job: TrainingJob) -> None:
    settings = job.settings
    if not job.rows:
        raise TrainingError("no training rows")
    limit = context_length(job.config.model)
    longest = max(len(row) for row in job.rows)
    if longest > limit:
        raise TrainingError(
            f"a training row of {longest} tokens does not fit the model's context of {limit}; "
            f"finetuning.max_length={limit} leaves such rows out"
        )
    if any(not row.answer_ids for row in job.rows):
        raise TrainingError("a training row has no token to learn from")
    if settings.epochs > settings.max_epochs:
        raise ConfigError(
            f"finetuning.epochs: {settings.epochs} is not allowed; allowed: 1 to max_epochs={settings.max_epochs}"
        )
    check_settings(settings, _device(job))


def _device(job: TrainingJob) -> str:
    return training_device(job.config)


def _trainer(job: TrainingJob, progress: TrainingProgress | None) -> Any:
    import torch
    from transformers import set_seed

    from selfguide.training.batches import Packed, choose_batches
    from selfguide.training.hooks import FILLER, Recorder, RowTrainer, trainer_arguments

    settings, processes = job.settings, process_count()
    device = prepare_process(_device(job))
    seed = child_seed(job.seed, "finetuning") % 2**32
    set_seed(seed)
    model = student_model(job.config, device)
    dtype = next(model.parameters()).dtype
    tokenizer = job.tokenizer.tokenizer
    pad = job.tokenizer.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    batches, unpacked = choose_batches(model, job.rows, pad, settings.packing)
    if unpacked and is_first():
        log.warning("finetuning.packing: rows cannot be packed, so training takes longer: %s", unpacked)
    packed = isinstance(batches, Packed)
    limit, share = tokens_per_pass(settings), settings.batch_size // processes
    micro = rows_per_pass(job.rows, share, limit) if packed else micro_batches(settings, settings.micro_batch_size)[0]
    recompute = bool(settings.gradient_checkpointing)
    arguments: dict[str, Any] = {
        "num_train_epochs": settings.max_epochs,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch_size // (micro * processes),
        "ddp_backend": "gloo" if processes > 1 and device == "cpu" else None,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": settings.warmup_fraction if job.steps > 1 else 0,  # the only step would have the rate 0
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "optim": optimizer_name(settings, device),
        "bf16": settings.dtype == "mixed" or dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "gradient_checkpointing": recompute,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if recompute else None,
        "save_strategy": "no",
    }
    if isinstance(job.rows[0], PreferenceRow):
        common = {"arguments": arguments, "device": device, "seed": seed, "tokenizer": tokenizer}
        return _preferring(job, model, common, batches, progress)
    args = trainer_arguments(job.work, device, seed, **(arguments | sharding_arguments(settings)))
    trainer = RowTrainer(
        model=model,
        args=args,
        train_dataset=[*job.rows, *[FILLER] * (-len(job.rows) % (micro * processes) if processes > 1 else 0)],
        data_collator=batches.collate,
        compute_loss_func=batches.loss,
        callbacks=[Recorder(job, lambda folder: _save(trainer, job, folder), progress)],
        optimizer_cls_and_kwargs=rounding(settings, dtype),
    )
    trainer.batches = batches
    if packed:
        trainer.arrange = lambda order, generator: grouped(order, job.rows, settings.batch_size, generator)
    shard_on_cpu(trainer)
    trainer.order_seed = child_seed(job.seed, "order")
    trainer.per_epoch = job.steps_per_epoch
    trainer.rows = len(job.rows)
    return trainer


def _preferring(
    job: TrainingJob, model: Any, common: dict[str, Any], batches: Any, progress: TrainingProgress | None
) -> Any:
    from selfguide.training.hooks import Recorder

    if job.start is not None:
        load_adapter(model, job.start)
    common["callbacks"] = [Recorder(job, lambda folder: _save(trainer, job, folder), progress)]
    settings = job.settings
    trainer = preference_trainer(settings.objective, settings.preference.beta, model, job.rows, job.work, common)
    trainer.batches = batches
    trainer.order_seed = child_seed(job.seed, "order")
    trainer.per_epoch = job.steps_per_epoch
    return trainer


def _save(trainer: Any, job: TrainingJob, folder: Path) -> None:
    """Weights of an epoch, servable as they are: an adapter, or a whole model with its tokenizer.

    Sharded weights are gathered, and evaluated, by all processes together; the first one writes.
    """
    model, first = trainer.model, trainer.is_world_process_zero()
    weights = whole_weights(trainer)
    if first:
        model.save_pretrained(folder, state_dict=weights)
    write_reference_logprobs(model, job.rows, folder if first else None, trainer.batches)
    if not first:
        return
    if job.settings.kind == "full":
        model.config.use_cache = True
        model.config.save_pretrained(folder)
        model.config.use_cache = False
        job.tokenizer.tokenizer.save_pretrained(folder)
        return
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    source = resolve_model(job.config.model)
    saved["base_model_name_or_path"], saved["revision"] = source.location, source.revision
    if isinstance(saved["target_modules"], list):
        saved["target_modules"].sort()  # a set in peft: its order changes from process to process
    write_text(path, json_text(saved, indent=2, sort_keys=True) + "\n")


def _kept_losses(path: Path, steps: int) -> list[float]:
    """The losses of the first `steps` steps; later or torn lines of a killed run are cut off the file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[:steps]
    kept: list[float] = []
    for line in lines:
        try:
            kept.append(float(json.loads(line)["loss"]))
        except (ValueError, KeyError, TypeError):
            break
    if is_first():
        write_text(path, "".join(lines[: len(kept)]))
    return kept

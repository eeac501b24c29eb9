"""What of a training fits a device: the rows of a forward pass, and whether activations are computed twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.errors import TrainingError
from selfguide.models.build import lifetime_of
from selfguide.models.devices import has_bfloat16
from selfguide.models.loading import pick_device
from selfguide.models.memory import GIB, Shape, Training, serving_memory, training_memory
from selfguide.models.source import model_json, resolve_model

_too_large: dict[tuple[str, ...], list["Fit"]] = {}
"""What ran out of memory in this process, by model and kind of training: it is not tried again."""


class OutOfMemoryError(TrainingError):
    """A training step did not fit the device."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows in a forward pass, gradient checkpointing or not, and the bytes by part; `tokens` of the longest row."""

    micro_batch: int
    recompute: bool
    tokens: int
    parts: dict[str, int]

    @property
    def needed(self) -> int:
        """Bytes in all."""
        return sum(self.parts.values())


def fits(shape: Shape | None, settings: FinetuningConfig, device: str, tokens: int) -> Iterator[Fit]:
    """What may be tried, fastest first. On a CPU that is what is set; without a known shape no bytes are known."""
    cuda = device.startswith("cuda")
    for recompute in _recomputing(settings, cuda):
        for size in micro_batches(settings, settings.micro_batch_size):
            parts = training_memory(shape, _training(settings, cuda), size, tokens, recompute) if shape else {}
            yield Fit(size, recompute, tokens, parts)


def choose(config: RunConfig, tokens: int, room: int | None) -> Fit:
    """The fastest that fits `room` bytes (None: not known) and has not run out of memory before.

    If nothing does, what takes least: the device has the last word. Raises `TrainingError` if that one failed, too.
    """
    settings, device = config.finetuning, training_device(config)
    failed = _too_large.get(_kind(config), [])
    tried = [
        fit
        for fit in fits(shape_of(config), settings, device, tokens)
        if not any(fit.micro_batch >= f.micro_batch and fit.recompute <= f.recompute for f in failed)
    ]
    if not tried:
        advice = "finetuning=lora, finetuning.quantization=4bit, finetuning.optimizer=adamw_8bit or a smaller model"
        raise TrainingError(
            f"out of memory on {device} with one row of up to {tokens} tokens at a time: a smaller "
            f"finetuning.max_length, {advice} takes less"
        )
    return next((fit for fit in tried if room is None or fit.needed <= room), tried[-1])


def remember_too_large(config: RunConfig, fit: Fit) -> None:
    """It ran out of memory: `choose` does not give it, or a larger one, again."""
    _too_large.setdefault(_kind(config), []).append(fit)


def with_fit(settings: FinetuningConfig, fit: Fit) -> FinetuningConfig:
    """The settings that train so."""
    return replace(settings, micro_batch_size=fit.micro_batch, gradient_checkpointing=fit.recompute)


def micro_batches(settings: FinetuningConfig, most: int) -> list[int]:
    """Rows of a forward pass that cut every process's share of a batch evenly, at most `most`, largest first."""
    share = settings.batch_size // settings.processes
    return [size for size in range(min(most, share), 0, -1) if share % size == 0] or [1]


def training_device(config: RunConfig) -> str:
    """Where the model is trained: `engine.device` of engines that have one, else the first GPU."""
    return pick_device(getattr(config.engine, "device", "auto"))


def shape_of(config: RunConfig) -> Shape | None:
    """The sizes of the model."""
    return Shape.of(model_json(resolve_model(config.model), "config.json"))


def kept_by_engine(config: RunConfig, shape: Shape, total: int) -> int:
    """Bytes that the engine keeps of a card of `total` while the model is trained."""
    engine = config.engine
    if lifetime_of(engine) != "keep" or engine.name == "openai":
        return 0
    if engine.name == "vllm":
        return int((getattr(engine, "memory_fraction", None) or 0.4) * total)
    return shape.weights * 2  # a second copy of the weights


def _recomputing(settings: FinetuningConfig, cuda: bool) -> tuple[bool, ...]:
    """Where nothing is set: on a GPU if it must be, and always with sharded weights, of a model that leaves no room."""
    chosen = settings.gradient_checkpointing
    if chosen is None and settings.sharding == "none":
        return (False, True) if cuda else (False,)
    return (chosen is not False,)


def _training(settings: FinetuningConfig, cuda: bool) -> Training:
    lora = settings.kind == "lora"
    half = settings.dtype == "bfloat16" or (settings.dtype == "auto" and cuda and (lora or has_bfloat16()))
    moments = 2 if settings.optimizer == "adamw_8bit" else 8
    if lora or not half:  # adapters are trained in float32
        state = moments
    elif settings.master_weights == "float32":
        state = moments + 4
    else:
        state = min(moments, 4)
    return Training(
        rank=settings.rank if lora else 0,
        targets=settings.target_modules,
        width=2 if half else 4,
        four_bit=settings.quantization == "4bit",
        state=state,
        shared_by=settings.processes if settings.sharding == "fsdp" else 1,
        packed=settings.packing == "prefix",
    )


def memory_table(config: RunConfig, room: int | None, tokens: int) -> list[tuple[str, str]]:
    """Rows of (part, GiB) for what `choose` gives, for answering with engine=hf, and what there is."""
    shape = shape_of(config)
    if shape is None:
        return []
    fit = choose(config, tokens, room)
    rows = [(name, f"{size / GIB:.1f}") for name, size in fit.parts.items()]
    how = "activations computed twice" if fit.recompute else "activations kept"
    title = f"training, {fit.micro_batch} x {tokens} tokens, {how}"
    rows.append((title, f"{fit.needed / GIB:.1f}"))
    if config.engine.name == "hf":
        positions = int(getattr(config.engine, "batch_tokens", 0))
        serving = serving_memory(shape, 2, positions, 64)
        rows.append((f"answering, {positions} tokens at once", f"{sum(serving.values()) / GIB:.1f}"))
    if room is not None:
        rows.append(("free on the device", f"{room / GIB:.1f}"))
    return rows


def _kind(config: RunConfig) -> tuple[str, ...]:
    settings = config.finetuning
    return (config.model.path, settings.kind, settings.quantization, settings.optimizer, settings.master_weights)

"""`python -m benchmarks.memory`: the README's table of what training a model of 7 billion weights takes, by the memory
model that runs go by (`selfguide.models.memory`). No GPU takes part."""

from dataclasses import replace
from typing import Any

from benchmarks.speed.schedules import composed
from selfguide.config.schema import FinetuningConfig
from selfguide.models.memory import GIB, Shape
from selfguide.training.fitting import Fit, fits

SIZES = {  # of Llama 2 and Vicuna
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "vocab_size": 32000,
}  # fmt: skip
CARDS = {"24 GB": 22.5, "48 GB": 45.0, "80 GB": 79.0}
"""GiB that the smallest card sold under that name has."""
TOKENS = 2000
SETTINGS: dict[str, dict[str, Any]] = {
    "finetuning=full": {"base": "full"},
    "finetuning=full finetuning.master_weights=stochastic_rounding": {
        "base": "full", "master_weights": "stochastic_rounding",
    },
    "finetuning=full protocol=paper": {"base": "full", "master_weights": "none"},
    "finetuning=full_fsdp, each of 2 GPUs": {"base": "full_fsdp"},
    "finetuning=lora": {"base": "lora"},
    "finetuning=lora finetuning.quantization=4bit": {"base": "lora", "quantization": "4bit"},
}  # fmt: skip


def main() -> None:
    """Print the table."""
    print(table())


def table() -> str:
    """A row for each setting: what fits each card, or what it would take."""
    shape = Shape.of(SIZES)
    assert shape is not None
    lines = [f"| rows of {TOKENS:,} tokens | {' | '.join(CARDS)} |", "|---" * (len(CARDS) + 1) + "|"]
    for name, changes in SETTINGS.items():
        rest = dict(changes)
        preset = composed("task=micro_color_word", f"finetuning={rest.pop('base')}").finetuning
        settings = replace(preset, dtype="bfloat16", **rest)
        cells = [_cell(settings, shape, room * GIB) for room in CARDS.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |".replace(", each of 2 GPUs`", "`, each of 2 GPUs"))
    return "\n".join(lines)


def _cell(settings: FinetuningConfig, shape: Shape, room: float) -> str:
    tried = list(fits(shape, settings, "cuda", TOKENS))
    fit = next((fit for fit in tried if fit.needed <= room), None)
    return f"no: {min(map(_needed, tried)) / GIB:.0f} GiB" if fit is None else _text(fit)


def _needed(fit: Fit) -> int:
    return fit.needed


def _text(fit: Fit) -> str:
    rows = f"{fit.micro_batch} row{'s' if fit.micro_batch > 1 else ''}"
    return f"{fit.needed / GIB:.0f} GiB: {rows}{', activations twice' if fit.recompute else ''}"


if __name__ == "__main__":
    main()

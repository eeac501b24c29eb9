"""`python -m benchmarks.memory`: the README's table of what a run with a model of 7 billion weights takes. No GPU.

GiB are by the memory model that runs go by (`selfguide.models.memory`), minutes as in `selfguide plan +table=…`.
"""

from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from benchmarks.speed.schedules import composed
from selfguide.apps.plan.costs import lengths_of
from selfguide.apps.plan.counts import Work, pieces
from selfguide.apps.plan.machines import GPUS, generation_seconds, training_seconds
from selfguide.config.commands import typed_table
from selfguide.config.plan_table import AssumedConfig, PlanTableConfig
from selfguide.config.schema import RunConfig
from selfguide.models.memory import GIB, Shape
from selfguide.training.fitting import Fit, fits

SIZES = {  # of Llama 2 and Vicuna
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "vocab_size": 32000,
}  # fmt: skip


class Card(NamedTuple):
    """GiB that the smallest card sold with so much memory has, and the card whose speed is forecast."""

    room: float
    speed: str


CARDS = {
    "24 GB (RTX 4090)": Card(22.5, "rtx4090"),
    "48 GB (L40S)": Card(45.0, "l40s"),
    "80 GB (H100)": Card(79.0, "h100"),
}
TOKENS = 2000
RUN = ("task=task1516", "model=vicuna_7b_v1_5", "engine=vllm")
ANSWERS_AT_ONCE = 128
SETTINGS: dict[str, tuple[str, ...]] = {
    "finetuning=full": ("finetuning=full",),
    "finetuning=full finetuning.master_weights=stochastic_rounding": (
        "finetuning=full", "finetuning.master_weights=stochastic_rounding",
    ),
    "finetuning=full protocol=paper": ("finetuning=full", "protocol=paper"),
    "finetuning=full_fsdp, each of 2 GPUs": ("finetuning=full_fsdp",),
    "finetuning=lora": ("finetuning=lora",),
    "finetuning=lora finetuning.quantization=4bit": ("finetuning=lora", "finetuning.quantization=4bit"),
}  # fmt: skip


def main() -> None:
    """Print the table."""
    print(table())


def table() -> str:
    """A row for each setting: what fits each card and how long the run then takes, or what it would take."""
    shape = Shape.of(SIZES)
    assert shape is not None
    lines = [f"| rows of {TOKENS:,} tokens | {' | '.join(CARDS)} |", "|---" * (len(CARDS) + 1) + "|"]
    for name, overrides in SETTINGS.items():
        run = composed(*RUN, *overrides)
        run = replace(run, finetuning=replace(run.finetuning, dtype="bfloat16"))
        cells = [_cell(run, shape, card) for card in CARDS.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |".replace(", each of 2 GPUs`", "`, each of 2 GPUs"))
    return "\n".join(lines)


def _cell(run: RunConfig, shape: Shape, card: Card) -> str:
    tried = list(fits(shape, run.finetuning, "cuda", TOKENS))
    fit = next((fit for fit in tried if fit.needed <= card.room * GIB), None)
    if fit is None:
        return f"no: {min(fit.needed for fit in tried) / GIB:.0f} GiB"
    rows = f"{fit.micro_batch} row{'s' if fit.micro_batch > 1 else ''}{', activations twice' if fit.recompute else ''}"
    return f"{fit.needed / GIB:.0f} GiB, {minutes(run, shape, card, fit):.0f} min: {rows}"


def minutes(run: RunConfig, shape: Shape, card: Card, fit: Fit) -> float:
    """Of the whole run: data, training, control, evaluation. Texts are as long as `conf/plan_table.yaml` assumes."""
    assumed = assumptions()
    work = reduce(Work.__add__, (piece.work for piece in pieces(run, lengths_of(run, assumed), assumed)))
    prompt, written = (work.teacher_prompt + work.student_prompt, work.teacher_generated + work.student_generated)
    gpu, weights = GPUS[card.speed], shape.weights
    answering = generation_seconds(gpu, weights, prompt, written, ANSWERS_AT_ONCE)
    lora, devices = run.finetuning.kind == "lora", run.finetuning.processes
    training = training_seconds(gpu, weights, work.trained / devices, work.trainings, lora)
    again = training_seconds(gpu, weights, work.trained / devices, 0, lora) * 2 / (4 if lora else 6)
    return (answering + training + again * fit.recompute) / 60


def assumptions() -> AssumedConfig:
    """What a forecast without data takes for granted."""
    from hydra import compose, initialize_config_dir

    from selfguide.core.paths import config_dir

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return typed_table(compose("plan_table", overrides=["+table=zerogen"]), PlanTableConfig).assume


if __name__ == "__main__":
    main()

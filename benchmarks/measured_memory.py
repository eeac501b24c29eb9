"""`python -m benchmarks.measured_memory`: real trainings' peak memory beside the memory model's, on a CPU.

Random Llamas are trained as a run trains them, in float32. Measured is the peak of the training process less that of
the same training of a model of next to no size (the interpreter, its libraries). The forecast leaves out what only a
GPU takes (`runtime`).
"""

import random
import tempfile
from pathlib import Path

from benchmarks.gpu.models import SIZES, checkpoint
from benchmarks.speed.schedules import composed
from selfguide.core import child
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.memory import GIB
from selfguide.training.fitting import fits, shape_of
from selfguide.training.rows import TrainingRow
from selfguide.training.trainer import finetune

TOKENS = 512
SMALL = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8, "num_attention_heads": 8}
NOTHING = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
KINDS = ("lora", "full")
ROWS = (1, 4)
ONCE = (
    "task=micro_color_word", "model=local", "model.prompt_format=plain", "finetuning.dtype=float32",
    "finetuning.max_epochs=1", "finetuning.epochs=1", "finetuning.batch_size=4", "finetuning.packing=none",
    f"finetuning.max_length={TOKENS}", "finetuning.save_every_s=100000",
)  # fmt: skip


def main() -> None:
    """Print the table."""
    SIZES.update(small=SMALL, nothing=NOTHING)
    print("| finetuning | rows of 512 tokens | activations | forecast GiB | measured GiB | measured / forecast |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="selfguide-memory-") as folder:
        for kind in KINDS:
            for rows in ROWS:
                for twice in (False, True):
                    forecast, peak = trained(Path(folder), "small", kind, rows, twice)
                    measured = peak - trained(Path(folder), "nothing", kind, rows, twice)[1]
                    how = "computed twice" if twice else "kept"
                    figures = f"{forecast / GIB:.3f} | {measured / GIB:.3f} | {measured / forecast:.2f}"
                    print(f"| {kind} | {rows} | {how} | {figures} |", flush=True)


def trained(folder: Path, size: str, kind: str, rows: int, twice: bool) -> tuple[int, int]:
    """The forecast's bytes, and the peak of the process that trained: two steps of four rows."""
    model = checkpoint(folder, size)
    overrides = (f"finetuning={kind}", f"finetuning.micro_batch_size={rows}", f"model.path={model}")
    config = composed(*overrides, *ONCE, f"finetuning.gradient_checkpointing={str(twice).lower()}")
    tokenizer, draw = load_prompt_tokenizer(config.model), random.Random(0)
    texts = [tuple(draw.randrange(10, 400) for _ in range(TOKENS - 1)) for _ in range(8)]
    data = [TrainingRow(text[:-64], (*text[-64:], tokenizer.end_id)) for text in texts]
    fit = next(fits(shape_of(config), config.finetuning, "cpu", TOKENS))
    assert (fit.micro_batch, fit.recompute) == (rows, twice)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        child.peaks.clear()
        finetune(config, tokenizer, data, Path(work), 0)
    return sum(size for part, size in fit.parts.items() if part != "runtime"), child.peaks["host"]


if __name__ == "__main__":
    main()

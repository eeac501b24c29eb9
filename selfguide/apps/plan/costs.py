"""Hours and bytes of a run's work, from its configuration; see `counts.py` and `machines.py`."""

from collections.abc import Iterable
from dataclasses import dataclass

from selfguide.apps.plan.counts import Lengths, Piece, Work, pieces
from selfguide.apps.plan.machines import ENCODERS, GPUS, generation_seconds, training_seconds, weights_of
from selfguide.config.plan_table import AssumedConfig
from selfguide.config.schema import RunConfig

BYTES_OF_TEXT = 4 * 3  # a token has four bytes and stands in journal, stage and run folder
ADAPTER = 0.006  # of a model's weights, at rank 16
BATCH = {"hf": 16, "vllm": 128, "openai": 128}


@dataclass(frozen=True)
class Cost:
    """Work, hours of one card for it, and bytes left on the disk."""

    work: Work
    hours: float
    bytes: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.work + other.work, self.hours + other.hours, self.bytes + other.bytes)


def lengths_of(run: RunConfig, assumed: AssumedConfig) -> Lengths:
    """Tokens of the texts of a run's task, from its demonstrations where they are on this disk; four bytes a token."""
    from selfguide.tasks.load import read_task

    task = run.task
    shown = [(item["input"], item["output"]) for item in task.demonstrations or ()]
    instruction = task.instruction
    if not shown and task.source == "micro":
        raw = read_task(task, run.data)
        shown, instruction = [(d.input, d.output) for d in raw.demonstrations], raw.instruction
    of = assumed.demonstrations if not shown else len(shown)
    count = of if task.num_demonstrations is None else task.num_demonstrations

    def mean(texts: list[str], otherwise: float) -> float:
        return sum(len(text.encode()) for text in texts) / len(texts) / 4 if texts else otherwise

    return Lengths(
        instruction=mean([instruction] if instruction else [], assumed.instruction_tokens),
        input=mean([text for text, _ in shown], assumed.input_tokens),
        output=mean([text for _, text in shown], assumed.output_tokens),
        demonstrations=count,
        labels=len(task.labels or ()) or (2 if task.family == "classification" else 0),
    )


def cost_of(run: RunConfig, piece: Piece, card: str) -> Cost:
    """Hours and bytes of a piece of work."""
    gpu, work = GPUS[card], piece.work
    student, batch = weights_of(run.model), BATCH.get(run.engine.name, 64)
    seconds = generation_seconds(gpu, student, work.student_prompt, work.student_generated, batch)
    teacher, other = run.teacher.model, run.teacher.kind == "other"
    if not (other and run.teacher.engine is not None and run.teacher.engine.name == "openai"):
        writer = student if teacher is None else weights_of(teacher)
        behind = run.engine if run.teacher.engine is None else run.teacher.engine
        seconds += generation_seconds(
            gpu, writer, work.teacher_prompt, work.teacher_generated, BATCH.get(behind.name, 64)
        )
    encoder = run.student.kind != "causal"
    small = ENCODERS.get(run.student.encoder.path.rpartition("/")[2], 110_000_000)
    lora = run.finetuning.kind == "lora" and not encoder
    trained = small if encoder else student
    seconds += training_seconds(gpu, trained, work.trained, work.trainings, lora)
    seconds += generation_seconds(gpu, small, work.encoder_tokens, 0, 1)
    epochs, kept = run.finetuning.max_epochs, work.trainings
    left = 4 * small if encoder else 4 * ADAPTER * student * epochs if lora else 2 * student
    if not (encoder or lora) and run.store.keep == "adapters":
        kept = min(kept, 1)  # the model that was evaluated
    return Cost(work, seconds / 3600, kept * left + BYTES_OF_TEXT * work.texts)


def costs_of(configs: Iterable[RunConfig], assumed: AssumedConfig, card: str = "h100") -> dict[str, Cost]:
    """The cost of every piece of work of some runs by its key: what they share is there once."""
    known: dict[str, Cost] = {}
    for config in configs:
        for piece in pieces(config, lengths_of(config, assumed), assumed):
            known[piece.key] = cost_of(config, piece, card)
    return known


def bytes_of(configs: Iterable[RunConfig], assumed: AssumedConfig) -> float:
    """What runs leave on the disk, what they share once."""
    return sum(cost.bytes for cost in costs_of(configs, assumed).values())

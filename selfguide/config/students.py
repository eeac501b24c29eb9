"""The schema of `conf/student`: what is trained on the synthetic pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import MISSING

from selfguide.config.builtin import STUDENTS
from selfguide.config.identity import MODEL
from selfguide.config.knobs import Extensible, knob


@dataclass
class EncoderConfig:
    """An encoder with a classification layer, trained from its published weights each time."""

    path: str = knob(role=MODEL)
    revision: str | None = knob(role=MODEL)
    hidden_size: int = knob(ge=8)
    layers: int = knob(ge=1)
    vocabulary: int = knob(ge=64)
    embedding: int = knob(ge=8)
    dropout: float = knob(ge=0, lt=1)
    epochs: int = knob(ge=1)
    batch_size: int = knob(ge=1)
    learning_rate: float = knob(gt=0)
    schedule: str = knob(one_of=("linear", "cosine", "constant"))
    warmup_fraction: float = knob(ge=0, lt=1)
    weight_decay: float = knob(ge=0)
    max_grad_norm: float = knob(gt=0)
    max_length: int = knob(ge=8)
    held_out: float = knob(ge=0, lt=1)
    patience: int | None = knob(ge=1)


@dataclass
class SpansConfig:
    """How a span student reads long passages, and how long its answers are."""

    stride: int = knob(ge=1)
    max_answer: int = knob(ge=1)


@dataclass
class InfluenceConfig:
    """Which synthetic pairs help on a synthetic validation set (ProGen's feedback)."""

    scorer: str = knob(one_of=("influence", "loss", "random"))
    objective: str = knob(one_of=("noise_tolerant", "cross_entropy"))
    params: str = knob(one_of=("all", "last"))
    sample: int | None = knob(ge=1)
    recursions: int = knob(ge=1)
    batch_size: int = knob(ge=1)
    damp: float = knob(ge=0, lt=1)
    scale: float = knob(gt=0)
    l2: float = knob(ge=0)


@dataclass
class StudentConfig(Extensible):
    """The student. `causal` is the model of `finetuning`; `encoder` and what follows are the encoder's."""

    kind: str = knob(one_of=("causal",), registry=STUDENTS)
    encoder: EncoderConfig = MISSING
    spans: SpansConfig = MISSING
    influence: InfluenceConfig = MISSING


def student_problems(student: StudentConfig, family: str, influenced: bool) -> Iterator[str]:
    """One line if the student cannot answer tasks of this family, or be asked what the method asks of it."""
    if student.kind == "encoder" and family == "generation":
        yield (
            "student.kind: encoder is not allowed with task.family=generation (it chooses a label); allowed: causal, "
            "or encoder_qa where answers are spans of the input"
        )
    if student.kind != "encoder_qa":
        return
    if family == "classification":
        yield "student.kind: encoder_qa is not allowed with task.family=classification (it copies); allowed: encoder"
    if influenced:
        yield "student.kind: encoder_qa is not allowed with method.diagnose.source=influence; allowed: encoder | causal"
    if student.encoder.path == "lstm":
        yield "student.encoder.path: lstm is not allowed with student.kind=encoder_qa; allowed: scratch"
    if student.spans.stride >= student.encoder.max_length // 2:
        yield (
            f"student.spans.stride: {student.spans.stride} is not allowed; allowed: < half of "
            f"student.encoder.max_length={student.encoder.max_length}, so that windows go on"
        )

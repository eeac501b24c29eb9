"""The schema of `conf/student`: what is trained on the synthetic pairs."""

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
    """The student. `causal` is the model of `finetuning`; `encoder` and `influence` are the encoder's."""

    kind: str = knob(one_of=("causal",), registry=STUDENTS)
    encoder: EncoderConfig = MISSING
    influence: InfluenceConfig = MISSING

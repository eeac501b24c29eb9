"""The schema of `finetuning.preference`. Values and their meaning: conf/finetuning/lora.yaml."""

from dataclasses import dataclass

from selfguide.config.identity import CHOICE
from selfguide.config.knobs import knob


@dataclass
class PreferenceConfig:
    """Training on the vote's winners and losers (`finetuning.objective`)."""

    beta: float = knob(gt=0, affects={"preference"})
    learning_rate: float = knob(gt=0, affects={"preference"})
    epochs: int = knob(ge=1, affects={"preference"})
    after_sft: bool = knob(affects={CHOICE})
    margin: float = knob(ge=0, le=1, affects={CHOICE})

"""The schema of `selfguide plan +table=NAME`. Values and explanations: conf/plan_table.yaml."""

from dataclasses import dataclass, field

from selfguide.config.knobs import knob
from selfguide.config.table import TableConfig

CARDS = ("h200", "h100", "a100", "l40s", "rtx4090", "cpu")


@dataclass
class AssumedConfig:
    """What is not known before the data are there."""

    instances: int = knob(ge=1)
    gold: int = knob(ge=1)
    instruction_tokens: int = knob(ge=1)
    input_tokens: int = knob(ge=1)
    output_tokens: int = knob(ge=1)
    demonstrations: int = knob(ge=0)
    kept: float = knob(gt=0, le=1)
    errors: float = knob(ge=0, le=1)


@dataclass
class PlanTableConfig(TableConfig):
    """A table whose runs are forecast, not run."""

    gpu: str = knob(one_of=CARDS)
    assume: AssumedConfig = field(default_factory=AssumedConfig)

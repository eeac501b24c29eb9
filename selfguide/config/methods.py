"""The schema of `method=`: what each method takes beside its name. Values and their meaning: conf/method/."""

from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import MISSING

from selfguide.config.knobs import knob
from selfguide.config.loop import LoopConfig, MethodConfig

__all__ = [
    "LOOPS",
    "METHODS",
    "GoldFinetuneConfig",
    "LoopConfig",
    "MethodConfig",
    "SelfICLConfig",
    "schema_of",
    "self_icl_problems",
]


@dataclass
class SelfICLConfig(MethodConfig):
    """Self-made demonstrations in the prompt."""

    variant: str = knob(one_of=("fill_context", "test_conditioned"))
    keep_demonstrations: bool = MISSING
    balance_labels: bool = MISSING
    max_demonstrations: int | None = knob(ge=0)
    reserve: float = knob(ge=0, lt=1)
    demonstrations: int = knob(ge=1)
    one_call: bool = MISSING
    input_temperature: float = knob(ge=0, le=2)
    labels: str = knob(one_of=("zero_shot", "random"))
    constrain_to_labels: bool = MISSING


def self_icl_problems(method: SelfICLConfig) -> Iterator[str]:
    """One line per combination that would not do what it says."""
    same = not method.one_call and method.demonstrations > 1 and method.input_temperature == 0
    if method.variant == "test_conditioned" and same:
        yield (
            f"method.input_temperature: 0.0 is not allowed with method.one_call=false: one input would be written "
            f"{method.demonstrations} times; allowed: > 0, or method.one_call=true"
        )


@dataclass
class GoldFinetuneConfig(MethodConfig):
    """Gold instances of the gold pool as training pairs."""

    rows: int | None = knob(ge=1)


# The loop's methods differ in their configuration alone: see conf/method/.
LOOPS = ("loop", "zerogen", "progen", "s3", "goldgen", "llm2llm", "selfguide_extrapolate")
METHODS: dict[str, type[MethodConfig]] = {
    "plain": MethodConfig,
    "self_icl": SelfICLConfig,
    "gold_finetune": GoldFinetuneConfig,
    "loop": LoopConfig,
}


def schema_of(method: str) -> type[MethodConfig]:
    """The schema of a method by its name."""
    return LoopConfig if method in LOOPS else METHODS.get(method, MethodConfig)

"""The schema of `method=`: what each method takes beside its name. Values and their meaning: conf/method/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from omegaconf import MISSING

from selfguide.config.identity import CHOICE
from selfguide.config.knobs import knob
from selfguide.config.loop import MethodConfig
from selfguide.core.paths import config_dir


def kind_of_recipe(name: str) -> str:
    """The `kind` of a shipped recipe or of the one it builds on, for older frozen settings and run folders."""
    file = config_dir() / "method" / f"{Path(name).name}.yaml"
    if not file.is_file():
        return name
    recipe = yaml.safe_load(file.read_text(encoding="utf-8"))
    return str(recipe["kind"]) if "kind" in recipe else kind_of_recipe(recipe["defaults"][0])


@dataclass
class SelfICLConfig(MethodConfig):
    """Self-made demonstrations in the prompt."""

    variant: str = knob(one_of=("fill_context", "test_conditioned"))
    # Of fill_context: what they choose is part of what is evaluated.
    keep_demonstrations: bool = knob(affects={CHOICE})
    balance_labels: bool = knob(affects={CHOICE})
    max_demonstrations: int | None = knob(ge=0, affects={CHOICE})
    reserve: float = knob(ge=0, lt=1, affects={CHOICE})
    demonstrations: int = knob(ge=1)
    one_call: bool = MISSING
    input_temperature: float = knob(ge=0, le=2)
    labels: str = knob(one_of=("zero_shot", "random"))
    constrain_to_labels: bool = knob(affects={CHOICE})  # the labels are part of the key


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

    @property
    def claims_gold(self) -> bool:
        """It trains on nothing else."""
        return True


@dataclass
class RestConfig(MethodConfig):
    """Sampled answers that are accepted train the model that samples next."""

    accept: str = knob(one_of=("vote", "gold"))
    rounds: int = knob(ge=1)
    per_input: int = knob(ge=1)
    items: int | None = knob(ge=1)
    wrong_below: float = knob(gt=0, le=1)
    rationalize: bool = MISSING

    @property
    def claims_gold(self) -> bool:
        """Whether gold answers decide what is accepted."""
        return self.accept == "gold"


@dataclass
class GepaConfig(MethodConfig):
    """Another instruction, chosen on labelled examples."""

    examples: str = knob(one_of=("demonstrations", "gold"))
    items: int | None = knob(ge=1)
    calls: int = knob(ge=1)
    reflected: int = knob(ge=1)
    max_new_tokens: int = knob(ge=1)

    @property
    def claims_gold(self) -> bool:
        """Whether gold answers choose the instruction."""
        return self.examples == "gold"


def rest_problems(method: RestConfig, student: str, given_inputs: bool) -> Iterator[str]:
    """One line per combination that would not do what it says."""
    if method.rationalize and method.accept == "vote":
        yield "method.rationalize: true is not allowed with method.accept=vote: the answer to hint at is not known"
    if student != "causal":
        yield f"student.kind: {student} is not allowed with method={method.name}; allowed: causal (it samples answers)"
    if given_inputs and method.accept == "gold":
        yield "task.inputs: is not allowed with method.accept=gold, whose inputs are the gold pool's; allowed: null"

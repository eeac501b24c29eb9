"""What is decided by the family of a task, which is known once its file is read."""

from dataclasses import replace

from selfguide.config.loop import DrawConfig, LoopConfig
from selfguide.config.schema import RunConfig
from selfguide.core.types import Family

INPUT_TEMPERATURE: dict[Family, float] = {"classification": 0.7, "generation": 0.9}
"""Of new inputs: what the paper's search found for its validation tasks (section 3.4)."""


def input_temperature(run: RunConfig, family: Family) -> float:
    """`temperature.input`, or what null stands for."""
    return INPUT_TEMPERATURE[family] if run.temperature.input is None else run.temperature.input


def for_family(run: RunConfig, family: Family) -> RunConfig:
    """The run with numbers where null leaves a temperature to the family."""
    temperature = input_temperature(run, family)

    def filled(draw: DrawConfig) -> DrawConfig:
        return replace(draw, temperature=temperature) if draw.temperature is None else draw

    method = run.method
    if isinstance(method, LoopConfig):
        propose = replace(method.propose, draw=filled(method.propose.draw))
        attributes = replace(method.attributes, draw=filled(method.attributes.draw))
        method = replace(method, propose=propose, attributes=attributes)
    return replace(run, temperature=replace(run.temperature, input=temperature), method=method)

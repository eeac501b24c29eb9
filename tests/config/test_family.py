"""Temperatures that the task's family decides."""

import pytest

from selfguide.config.family import for_family, input_temperature
from selfguide.config.loop import LoopConfig
from selfguide.core.types import Family
from tests.composing import run_config


@pytest.mark.parametrize(("family", "expected"), [("classification", 0.7), ("generation", 0.9)])
def test_the_papers_temperature_is_the_familys_without_a_second_group(family: Family, expected: float) -> None:
    run = run_config("task=json", "task.path=mine.json", "protocol=paper")
    assert run.temperature.input is None
    assert input_temperature(run, family) == for_family(run, family).temperature.input == expected
    given = run_config("task=json", "task.path=mine.json", "protocol=paper", "temperature.input=0.6")
    assert input_temperature(given, family) == 0.6


def test_a_round_of_extrapolation_has_the_temperature_of_the_first() -> None:
    run = for_family(run_config("method=selfguide_extrapolate", "temperature.input=null"), "generation")
    assert isinstance(run.method, LoopConfig)
    assert run.method.propose.draw.known_temperature == 0.9

"""A task file may say what an input is; a run then says when most new inputs are none."""

import pytest

from selfguide.methods.result import MethodResult
from selfguide.pipeline import with_validity
from selfguide.synthesis.candidates import Candidate
from selfguide.tasks.gold import GoldData

DIGITS = r"\d+"


def made(*inputs: str) -> MethodResult:
    return MethodResult(candidates=tuple(Candidate(str(index), 0, text) for index, text in enumerate(inputs)))


@pytest.mark.parametrize(
    ("pattern", "inputs", "warned"),
    [
        (DIGITS, ("1", "22", "x"), False),
        (DIGITS, ("1", "x", "y"), True),
        (DIGITS, ("1", "x"), False),  # half of them
        (DIGITS, (), False),
        (None, ("x", "y"), False),
    ],
)
def test_mostly_invalid_inputs_are_said(pattern: str | None, inputs: tuple[str, ...], warned: bool) -> None:
    result = with_validity(GoldData("counting", {}, valid_input=pattern), made(*inputs))
    assert [warning.split(" new inputs")[0] for warning in result.warnings] == (["1 of 3"] if warned else [])
    assert result.candidates == made(*inputs).candidates

"""Every knob that holds a number refuses what is none: infinity and NaN."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from selfguide.config.schema import RunConfig
from selfguide.config.validate import out_of_range
from tests.composing import run_config

RUNS = [
    ["+sweep=default"],
    ["engine=openai"],
    ["engine=vllm"],
    ["method=loop"],
    ["method=progen"],
    ["budget=equal_rows"],
    ["curation=dynamics"],
    ["student=encoder", "task=task1516"],
]


def numbers(prefix: str, node: Any) -> Iterator[tuple[str, Any, str]]:
    """(key, node, field) of all knobs that take a float."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(f"{prefix}{field.name}.", value)
        elif field.type is float or float in get_args(field.type):
            yield f"{prefix}{field.name}", node, field.name


@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_no_knob_takes_infinity_or_nan(overrides: list[str], number: float) -> None:
    run: RunConfig = run_config(*overrides)
    knobs = list(numbers("", run))
    assert len(knobs) > 20
    for key, node, field in knobs:
        before = getattr(node, field)
        setattr(node, field, number)
        (line,) = out_of_range("", run)
        assert line.startswith(f"{key}: {number} is not allowed; allowed: a finite number"), line
        setattr(node, field, before)

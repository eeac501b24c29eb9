"""The schema of `budget=`: on what footing methods are compared. Values and their meaning: conf/budget/."""

from collections.abc import Iterator
from dataclasses import dataclass

from selfguide.config.knobs import knob

# Which number each kind goes by.
NUMBER = {"equal_rows": "rows", "equal_tokens": "tokens", "equal_steps": "steps"}


@dataclass
class BudgetConfig:
    """What every method may train with: so many rows, answer tokens, or optimiser steps."""

    kind: str = knob(one_of=("none", *NUMBER))
    rows: int | None = knob(ge=1)
    tokens: int | None = knob(ge=1)
    steps: int | None = knob(ge=1)


def budget_problems(budget: BudgetConfig) -> Iterator[str]:
    """One line if the number that the kind goes by has no value."""
    name = NUMBER.get(budget.kind)
    if name is not None and getattr(budget, name) is None:
        yield f"budget.{name}: has no value; allowed: >= 1, as budget.kind={budget.kind} goes by it"

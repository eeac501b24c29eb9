"""The same training budget for every method: which pairs are trained on, and for how many steps. Pure.

Without a budget, methods are compared at whatever sizes their filters happened to leave.
"""

from collections.abc import Sequence
from typing import NamedTuple

from selfguide.config.budget import BudgetConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.synthesis.sampling import in_turn


class BudgetReport(NamedTuple):
    """How a training stands to the budget: `asked` and `got` in its `unit` (rows, tokens or steps)."""

    unit: str
    asked: int
    got: int
    equal: bool

    @property
    def warning(self) -> str | None:
        """One line if it is not on an equal footing with trainings that had enough."""
        if self.equal:
            return None
        return f"budget.{self.unit}={self.asked}, but there are {self.got} {self.unit}: not on an equal footing"


def budget_report(
    budget: BudgetConfig, rows: int, token_lengths: Sequence[int] = (), longest: int = 0, steps: int = 0
) -> BudgetReport | None:
    """The footing of a training of `steps` on `rows` pairs; None without a budget.

    Tokens (`token_lengths`, one a pair trained on) fall short where the `longest` answer there was would still have
    fitted: what a choice of whole rows leaves is no shortage.
    """
    if budget.kind == "equal_rows":
        assert budget.rows is not None
        return BudgetReport("rows", budget.rows, rows, rows == budget.rows)
    if budget.kind == "equal_tokens":
        assert budget.tokens is not None
        spent = sum(token_lengths)
        return BudgetReport("tokens", budget.tokens, spent, rows > 0 and spent + longest > budget.tokens)
    if budget.kind == "equal_steps":
        assert budget.steps is not None
        return BudgetReport("steps", budget.steps, steps, steps == budget.steps)
    return None


def fit_rows(
    pairs: Sequence[Example],
    budget: BudgetConfig,
    labels: Sequence[str],
    seed: int,
    token_lengths: Sequence[int] = (),
) -> list[Example]:
    """The pairs within the budget, in their order; with too few of them, all.

    `equal_rows` takes the first `rows` of a seeded ranking in which the labels take turns, and
    `equal_tokens` its longest start with at most `tokens` answer tokens (`token_lengths`, one a
    pair): a long answer ends the choice rather than being passed over, which would favour short
    ones. Both are nested: a smaller budget gives a part of what a larger gives.
    """
    if budget.kind == "equal_rows":
        assert budget.rows is not None
        chosen = _ranking(pairs, labels, seed)[: budget.rows]
    elif budget.kind == "equal_tokens":
        assert budget.tokens is not None
        if len(token_lengths) != len(pairs):
            raise ValueError(f"{len(pairs)} pairs, but token lengths of {len(token_lengths)}")
        chosen, spent = [], 0
        for index in _ranking(pairs, labels, seed):
            spent += token_lengths[index]
            if spent > budget.tokens:
                break
            chosen.append(index)
    else:
        return list(pairs)
    return [pairs[index] for index in sorted(chosen)]


def _ranking(pairs: Sequence[Example], labels: Sequence[str], seed: int) -> list[int]:
    """Indices of the pairs in seeded order; where there are labels, one of each in turn."""
    groups: dict[str, list[int]] = {label: [] for label in labels}
    for index, pair in enumerate(pairs):
        # An output that is no label (a student that writes freely) is a group of its own.
        groups.setdefault(pair.output if labels else "", []).append(index)
    shuffled = [child_random(seed, "budget", name).sample(group, len(group)) for name, group in groups.items()]
    return in_turn(shuffled)

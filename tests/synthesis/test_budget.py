"""Budgets: the bound holds, labels stay even, a smaller budget is a part of a larger one."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from selfguide.config.budget import BudgetConfig, budget_problems
from selfguide.config.validate import as_dataclass
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir
from selfguide.core.types import Example
from selfguide.synthesis.budget import budget_report, fit_rows

LABELS = ("yes", "no", "maybe")
KINDS = ("none", "equal_rows", "equal_tokens", "equal_steps")
outputs = st.lists(st.sampled_from((*LABELS, "something else")), max_size=60)


def budget(kind: str, number: int | None = None) -> BudgetConfig:
    name = kind.removeprefix("equal_")
    return BudgetConfig(kind, **{n: number if n == name else None for n in ("rows", "tokens", "steps")})


def numbered(texts: list[str]) -> list[Example]:
    return [Example(str(place), text) for place, text in enumerate(texts)]


def in_order(chosen: list[Example]) -> bool:
    places = [int(pair.input) for pair in chosen]
    return places == sorted(set(places))


@given(outputs, st.integers(1, 80), st.integers(0, 5), st.booleans())
def test_equal_rows(texts: list[str], rows: int, seed: int, classification: bool) -> None:
    pairs = numbered(texts)
    labels = LABELS if classification else ()
    chosen = fit_rows(pairs, budget("equal_rows", rows), labels, seed)
    assert len(chosen) == min(rows, len(pairs))
    assert in_order(chosen)
    larger = fit_rows(pairs, budget("equal_rows", rows + 1), labels, seed)
    assert {pair.input for pair in chosen} <= {pair.input for pair in larger}
    if classification:
        have, took = Counter(texts), Counter(pair.output for pair in chosen)
        most = max(took.values(), default=0)
        # A label is behind the commonest by more than one only if it has no more rows.
        assert all(took[label] >= most - 1 or took[label] == have[label] for label in have)


@given(outputs, st.integers(1, 200), st.integers(0, 5), st.data())
def test_equal_tokens(texts: list[str], tokens: int, seed: int, data: st.DataObject) -> None:
    pairs = numbered(texts)
    lengths = data.draw(st.lists(st.integers(1, 20), min_size=len(pairs), max_size=len(pairs)))
    chosen = fit_rows(pairs, budget("equal_tokens", tokens), LABELS, seed, lengths)
    spent = sum(lengths[int(pair.input)] for pair in chosen)
    assert spent <= tokens
    assert in_order(chosen)
    # It ended because nothing was left or the next row did not fit, and no row is longer than 20.
    assert len(chosen) == len(pairs) or spent > tokens - 20
    larger = fit_rows(pairs, budget("equal_tokens", tokens + 7), LABELS, seed, lengths)
    assert {pair.input for pair in chosen} <= {pair.input for pair in larger}


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 300))
def test_a_choice_of_whole_rows_is_no_shortage_of_tokens(lengths: list[int], tokens: int) -> None:
    kind = budget("equal_tokens", tokens)
    chosen = fit_rows(numbered(["x"] * len(lengths)), kind, (), 0, lengths)
    spent = [lengths[int(pair.input)] for pair in chosen]
    found = budget_report(kind, len(chosen), spent, max(lengths, default=0))
    assert found is not None and found.got == sum(spent) <= tokens
    if 0 < len(chosen) < len(lengths):
        assert found.equal
    if sum(lengths) + max(lengths, default=0) <= tokens:
        assert not found.equal


def test_a_shortage_is_one_line() -> None:
    short = budget_report(budget("equal_rows", 100), 84)
    assert short is not None
    assert short.warning == "budget.rows=100, but there are 84 rows: not on an equal footing"
    assert budget_report(budget("equal_rows", 84), 84) == ("rows", 84, 84, True)
    assert budget_report(budget("equal_steps", 9), 84, steps=8) == ("steps", 9, 8, False)
    assert budget_report(budget("none"), 84) is None
    nothing = budget_report(budget("equal_tokens", 5), 0, longest=9)
    assert nothing is not None and not nothing.equal, "the first answer did not fit"


@given(outputs, st.integers(0, 5))
def test_the_other_kinds_leave_the_pairs_alone(texts: list[str], seed: int) -> None:
    pairs = numbered(texts)
    assert fit_rows(pairs, budget("none"), LABELS, seed) == pairs
    assert fit_rows(pairs, budget("equal_steps", 5), LABELS, seed) == pairs


def test_the_seed_chooses() -> None:
    pairs = numbered(["x"] * 50)
    chosen = [tuple(fit_rows(pairs, budget("equal_rows", 10), (), seed)) for seed in range(5)]
    assert len(set(chosen)) == 5
    assert chosen[0] == tuple(fit_rows(pairs, budget("equal_rows", 10), (), 0))


def test_token_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="token lengths of 1"):
        fit_rows(numbered(["x", "y"]), budget("equal_tokens", 10), (), 0, [3])


@pytest.mark.parametrize("kind", KINDS)
def test_the_presets_are_whole(kind: str) -> None:
    merged = OmegaConf.merge(
        OmegaConf.structured(BudgetConfig), OmegaConf.load(config_dir() / "budget" / f"{kind}.yaml")
    )
    found = as_dataclass(merged, BudgetConfig)  # type: ignore[arg-type]
    assert found.kind == kind
    assert not list(budget_problems(found))


def test_a_kind_without_its_number_is_refused() -> None:
    assert list(budget_problems(budget("equal_rows"))) == [
        "budget.rows: has no value; allowed: >= 1, as budget.kind=equal_rows goes by it"
    ]
    with pytest.raises(ConfigError, match="rows: 0 is not allowed; allowed: >= 1"):
        as_dataclass(OmegaConf.structured(budget("equal_rows", 0)), BudgetConfig)

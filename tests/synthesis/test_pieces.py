"""The small pure pieces of synthesis: budgets of calls, candidates as rows, answers in a passage, curation."""

from dataclasses import replace

import pytest

from selfguide.config.curation import CurationConfig
from selfguide.core.types import Example
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import LATE, Candidate, Sample, drop_counts
from selfguide.synthesis.curation import Quality, reasons_to_drop
from selfguide.synthesis.dataset import marked, still_in
from selfguide.synthesis.sampling import in_turn, spread_over_labels
from selfguide.synthesis.spans import answer_spans


def test_a_budget_is_spent_down_to_nothing_and_no_further() -> None:
    budget = CallBudget(5, 100)
    assert budget.without({"calls": 2, "generated": 30}) == budget.less(2, 30) == CallBudget(3, 70)
    assert budget.without({}) == budget
    assert budget.less(9, 999) == CallBudget(0, 0)
    assert CallBudget(None, 7).less(3, 4) == CallBudget(None, 3)
    spent = [CallBudget(1, 1), CallBudget(0, 1), CallBudget(1, 0), CallBudget(), CallBudget(0, 0)]
    assert [one.spent for one in spent] == [None, "calls", "tokens", None, "calls"]


def test_items_that_a_budget_pays_for() -> None:
    assert [CallBudget(7).items(calls) for calls in (1, 2, 3, 7, 8)] == [7, 3, 2, 1, 0]
    assert CallBudget().items(3) is None
    assert CallBudget(None, 0).items(3) == CallBudget(0).items(3) == 0
    assert [CallBudget(left, 9).closed_below(3).calls for left in (4, 3, 2)] == [4, 3, 0]
    assert CallBudget(2, 9).closed_below(3).tokens == 9 and CallBudget(None, 9).closed_below(3) == CallBudget(None, 9)


def test_a_candidate_is_its_row() -> None:
    plain = Candidate(
        "1", 2, "in", "yes", None, (Sample("a", -1.5, "noise", None), Sample("b", None, None, "b")), "b", 0.5
    )
    looped = replace(plain, source="generated", parent="0", exemplar="x")
    for one in (plain, looped):
        assert Candidate.from_row(one.to_row()) == one
    assert looped.to_row().keys() - plain.to_row().keys() == {"source", "parent", "exemplar"}
    assert plain.to_row()["dropped"] is None


def test_what_was_accepted_and_what_was_dropped_why() -> None:
    made = [Candidate("0", 0, "a"), Candidate("1", 0, "b", dropped="noise"), Candidate("2", 0, "c", dropped="noise")]
    made += [Candidate("3", 0, "d", dropped=LATE[0]), Candidate("4", 0, "e", None, "no_label", (Sample("x", 0.0),))]
    assert [one.accepted for one in made] == [True, False, False, True, True]
    assert list(drop_counts(made).items()) == [("noise", 2), (LATE[0], 1), ("no_label", 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("In 1950 the bus left Kyiv for Riga.", ["1950", "Kyiv", "Riga"]),
        ("The bus left, and then Ann came; Ann stayed.", ["Ann"]),
        ("It cost 1,250.50 at Bank of England in New York", ["1,250.50", "Bank of England", "New York"]),
        ("so we met Bo and Al.", []),
        ("Ann Lee came.\nBob left.", ["Ann Lee"]),
        ("no name at all", []),
        ("7 of 12", ["7", "12"]),
    ],
)
def test_answers_that_a_passage_offers(text: str, found: list[str]) -> None:
    assert answer_spans(text) == found


def test_groups_take_turns_until_all_have_run_out() -> None:
    assert in_turn([[1, 2, 3], [], [4], [5, 6]]) == [1, 4, 5, 2, 6, 3]
    assert in_turn([]) == []


def test_a_choice_spread_over_labels() -> None:
    pairs = [Example(str(number), "abcx"[number % 4]) for number in range(16)]
    for most in (3, 4, 7, 100, None):
        chosen = spread_over_labels(pairs, ("a", "b", "c"), most, 1, "x")
        assert len(chosen) == min(most or 16, 16) == len(set(chosen))
        counts = [sum(pair.output == label for pair in chosen) for label in "abc"]
        assert max(counts) - min(counts) <= 1
    assert {pair.output for pair in chosen} == set("abcx"), "what is no label comes, too"
    plain = spread_over_labels(pairs, (), 5, 1, "x")
    assert len(plain) == 5 and spread_over_labels(pairs, (), 16, 1, "x")[:5] == plain


def test_each_row_stands_for_one_pair() -> None:
    one, two = Example("a", "x"), Example("b", "y")
    assert still_in([one, two, one, one], [one, one, Example("c", "z")]) == (one, one)
    made = [
        Candidate(str(n), 0, text, output=out) for n, (text, out) in enumerate([("a", "x"), ("a", "x"), ("b", "y")])
    ]
    made += [Candidate("3", 0, "b", dropped="noise"), Candidate("4", 0, "c")]
    found = marked(made, [one], lambda pair: f"left {pair.input}")
    assert [candidate.dropped for candidate in found] == [None, "left a", "left b", "noise", None]


def curation(**changes: object) -> CurationConfig:
    values = {"name": "x", "kind": "confidence", "drop_share": 0.0, "min_confidence": None, "within_labels": True}
    values |= {"hard_confidence": 0.5, "hard_variability": 0.2}
    known = CurationConfig.__dataclass_fields__
    return CurationConfig(**{name: value for name, value in (values | changes).items() if name in known})  # type: ignore[arg-type]


PAIRS = [Example(str(number), "ab"[number % 2]) for number in range(6)]


def dropped(confidences: list[float | None], variability: float = 0.0, **changes: object) -> list[str | None]:
    qualities = [None if value is None else Quality(value, variability) for value in confidences]
    return reasons_to_drop(PAIRS, qualities, ("a", "b"), curation(**changes))


def test_the_least_confident_rows_of_each_label_are_dropped_and_of_equals_the_later() -> None:
    least = "least_confident"
    assert dropped([0.9, 0.1, 0.5, 0.1, 0.5, 0.1], drop_share=0.34) == [None, None, None, None, least, least]
    assert dropped([0.9, 0.1, 0.5, 0.1, 0.5, 0.1], drop_share=0.33) == [None] * 6
    overall = dropped([0.9, 0.1, 0.5, 0.1, 0.5, 0.1], drop_share=0.34, within_labels=False)
    assert overall == [None, None, None, least, None, least]


def test_confidence_and_variability_at_their_limits() -> None:
    low, never = "low_confidence", "never_learned"
    assert dropped([0.5, 0.49, 0.51, None, 0.5, 0.5], min_confidence=0.5) == [None, low, None, "too_long", None, None]
    for variability, expected in ((0.19, never), (0.2, None)):
        found = dropped([0.49, 0.5, 0.6, 0.7, 0.8, 0.9], variability, kind="dynamics")
        assert found == [expected, None, None, None, None, None]
    assert dropped([0.1] * 6, 0.0) == [None] * 6, "another kind"


def test_quality_of_losses() -> None:
    assert Quality.of_losses([None]) is None
    one = Quality.of_losses([0.0, None])
    assert one is not None and (one.confidence, one.variability) == (1.0, 0.0)
    two = Quality.of_losses([0.0, 100.0])
    assert two is not None and (two.confidence, two.variability) == pytest.approx((0.5, 0.5))

"""What holds for every text: against SQuAD's published procedure, and for numbers however they are written."""

import re
import string
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfguide.config.builtin import METRICS
from selfguide.tasks.metrics import score
from selfguide.tasks.numbers import last_number, same_number

WORDS = st.lists(st.sampled_from(["the", "a", "An", "town", "Moor", "moor,", "x-y", "!", "42"]), max_size=6).map(
    " ".join
)
TEXTS = st.one_of(st.text(max_size=30), WORDS)
NUMBERISH = st.text(alphabet="0123456789.,/-+eE$# \n\u2212ab", max_size=40)


def squad(text: str) -> str:
    """SQuAD 1.1's `normalize_answer`, step by step."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(TEXTS, TEXTS)
def test_question_answering_as_squad_does(prediction: str, reference: str) -> None:
    ours, theirs = squad(prediction).split(), squad(reference).split()
    assert score("squad_exact", prediction, [reference]) == float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    if not ours or not theirs:
        expected = float(ours == theirs)
    elif not common:
        expected = 0.0
    else:
        precision, recall = common / len(ours), common / len(theirs)
        expected = 2 * precision * recall / (precision + recall)
    assert score("token_f1", prediction, [reference]) == pytest.approx(expected)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_the_best_reference_counts(prediction: str, references: list[str]) -> None:
    for metric in ("token_f1", "squad_exact", "exact_match", "numeric_match", "accuracy"):
        each = [score(metric, prediction, [reference]) for reference in references]
        assert score(metric, prediction, references) == max(each)
        assert score(metric, prediction, references[::-1]) == max(each)


@given(st.one_of(TEXTS, NUMBERISH), st.one_of(TEXTS, NUMBERISH))
def test_scores_are_shares_and_equals_agree(left: str, right: str) -> None:
    for metric in METRICS.builtin:
        function = METRICS.load(metric)
        assert 0.0 <= function(left, right) <= 1.0
        if metric in ("token_f1", "squad_exact", "exact_match", "accuracy"):
            assert function(left, left) == 1.0
            assert function(left, right) == pytest.approx(function(right, left))


WAYS = [
    "{}",
    "The answer is {}.",
    "3 + 4 = 7, so it is ${}",
    "#### {}",
    "12 steps\n#### {}\n\nProblem: 99 apples",
    "**{}** apples",
    "= {} cm",
    r"\\boxed{{{}}}",
]


@given(st.integers(-(10**12), 10**12), st.sampled_from(WAYS), st.booleans(), st.booleans())
def test_a_whole_number_is_itself_and_no_other(number: int, way: str, grouped: bool, point: bool) -> None:
    shown = way.format((f"{number:,}" if grouped else str(number)) + (".0" if point else ""))
    assert last_number(shown) == number
    reference = [f"work 5 * 3\n#### {number:,}"]
    assert score("numeric_match", shown, reference) == 1.0
    for other in (number + 1, number - 1, number * 10, -number - (number == 0), abs(number) + 10**15):
        assume(other != number)
        assert score("numeric_match", way.format(other), reference) == 0.0


@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from(WAYS))
def test_a_fraction_is_a_quotient(top: int, bottom: int, way: str) -> None:
    value = Fraction(top, bottom)
    shown = way.format(f"{top}/{bottom}")
    assert last_number(shown) == value
    assert score("numeric_match", shown, [f"#### {float(value):.12f}"]) == 1.0
    joined = int(f"{top}{bottom}")
    assume(value != joined and value != bottom)
    assert score("numeric_match", shown, [str(joined)]) == 0.0
    assert score("numeric_match", shown, [str(bottom)]) == 0.0


@given(st.integers(0, 99), st.integers(1, 98), st.integers(2, 99))
def test_a_mixed_number_is_a_sum(whole: int, top: int, bottom: int) -> None:
    assert last_number(f"about {whole} {top}/{bottom} cups") == whole + Fraction(top, bottom)
    assert last_number(f"-{whole} {top}/{bottom}") == -(whole + Fraction(top, bottom))


@given(st.integers(-999, 999))
def test_nearness_is_for_broken_numbers_alone(whole: int) -> None:
    beside = whole + Fraction(whole or 1, 10**7)
    assert same_number(Fraction(whole), beside) == same_number(beside, Fraction(whole)) == (whole != 0)
    assert not same_number(Fraction(10**7), Fraction(10**7 + 1))


@given(st.fractions(), st.fractions())
def test_nearness_is_mutual(left: Fraction, right: Fraction) -> None:
    assert same_number(left, left)
    assert same_number(left, right) == same_number(right, left)
    if abs(left - right) > Fraction(1, 1000):
        assert not same_number(left, right)


@pytest.mark.parametrize(
    "labels",
    [
        ("negative", "positive"),
        ("entailment", "not_entailment"),
        ("A", "B", "C", "D", "E"),
        ("abbreviation", "entity", "description", "human", "location", "number"),
        ("PlayMusic", "RateBook", "SearchCreativeWork", "SearchScreeningEvent"),
        ("C", "C++", "C#"),
        ("1", "-1", "10"),
    ],
)
def test_accuracy_is_one_for_the_label_alone(labels: tuple[str, ...]) -> None:
    for said in labels:
        for right in labels:
            for text in (said, f"{said}.", f" {said}\n", f"{said}\nBecause ...", f'"{said}"'):
                assert score("accuracy", text, [right], labels=labels) == float(said == right), (text, right)
    assert score("accuracy", "I cannot tell", [labels[0]], labels=labels) == 0.0

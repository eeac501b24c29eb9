"""How texts are compared and cleaned, against other implementations and by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from selfguide.core.similarity import lcs_f1
from selfguide.core.text import normalised, strip_field_name, strip_quotes, words_of

SCORER = rouge_scorer.RougeScorer(["rougeL"])
words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(words, words)
def test_similarity_of_words_is_rouge_l(left: list[str], right: list[str]) -> None:
    expected = SCORER.score(" ".join(left), " ".join(right))["rougeL"].fmeasure
    assert lcs_f1(left, right) == pytest.approx(expected)


def test_similarity_of_texts_is_of_their_characters() -> None:
    assert lcs_f1("abcd", "abxd") == 0.75
    assert lcs_f1("", "") == lcs_f1("a", "b") == 0
    assert lcs_f1("ab", "ab") == 1


@pytest.mark.parametrize(
    ("raw", "clean"),
    [("'a'", "a"), ("''a''", "''a''"), ('"', '"'), ('""', ""), ("''", ""), ("“'a'”", "a"), ('"a', '"a'), ("`a`", "a")],
)
def test_wrapping_quotes_go_as_long_as_they_wrap(raw: str, clean: str) -> None:
    assert strip_quotes(raw) == clean


@pytest.mark.parametrize("raw", ["Input: a", "**Input**: a", "**Input:** a", "NEW INPUT :a", "  input: a  "])
def test_one_field_name_goes(raw: str) -> None:
    assert strip_field_name(raw) == "a"
    assert strip_field_name(f"Input: {raw}") == raw.strip(), "the second is the text's own"


@given(st.text())
def test_words_are_those_of_the_normalised_text(text: str) -> None:
    assert " ".join(words_of(text)) == normalised(text)
    assert not re.search(r"\s\s|^\s|\s$", normalised(text))

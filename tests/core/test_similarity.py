"""The index finds what comparing each with each finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfguide.core.similarity import SimilarityIndex, lcs_f1

words = st.lists(st.sampled_from("abcd"), max_size=9)


@given(st.lists(words, max_size=8), words, st.sampled_from([0.3, 0.5, 0.7, 0.8, 1.0]))
@settings(max_examples=300)
def test_similar_ones_are_those_of_all_pairs(known: list[list[str]], new: list[str], threshold: float) -> None:
    index = SimilarityIndex(threshold, str)
    for item in known:
        index.add(item)
    all_pairs = {number: lcs_f1(new, item) for number, item in enumerate(known)}
    expected = {number: f1 for number, f1 in all_pairs.items() if f1 >= threshold}
    assert dict(index.similar(new)) == pytest.approx(expected)

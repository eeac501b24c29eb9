import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfguide.analysis.diversity import clusters, distinct, diversity, self_bleu
from selfguide.analysis.neighbours import nearest
from selfguide.core.similarity import lcs_f1
from selfguide.core.text import words_of

sentences = st.lists(st.text("abc ", min_size=1, max_size=20), min_size=2, max_size=12)


def test_self_bleu_of_copies_is_one_and_of_strangers_zero() -> None:
    words = words_of("one two three four five six")
    assert self_bleu([words, words, words]) == pytest.approx(1.0)
    assert self_bleu([words, words_of("seven eight nine ten eleven")]) == 0.0
    assert self_bleu([words]) == 0.0


def test_self_bleu_by_hand() -> None:
    # 1-grams 2/3, smoothed 2-grams (1+1)/(2+1), 3-grams (0+1)/(1+1), 4-grams (0+1)/(0+1), both ways.
    left, right = words_of("a b c"), words_of("a b d")
    assert self_bleu([left, right]) == pytest.approx((2 / 3 * 2 / 3 * 1 / 2 * 1) ** 0.25)


def test_a_short_text_is_measured_by_the_closest_length_of_the_others() -> None:
    short = math.exp(1 - 3 / 2)  # all its n-grams are in the other, which is longer
    long = (2 / 3 * 2 / 3 * 1 / 2 * 1) ** 0.25
    assert self_bleu([words_of("a b"), words_of("a b c")]) == pytest.approx((short + long) / 2)


@given(sentences)
@settings(max_examples=50)
def test_self_bleu_does_not_depend_on_order(texts: list[str]) -> None:
    words = [words_of(text) for text in texts]
    assert self_bleu(words) == pytest.approx(self_bleu(words[::-1]))
    assert 0 <= self_bleu(words) <= 1 + 1e-9


def test_distinct_and_novelty() -> None:
    assert distinct([["a", "b"], ["a", "c"]], (1, 2)) == {1: 0.75, 2: 1.0}
    assert distinct([["a"]], (2,)) == {2: 0.0}
    found = diversity(["Red car!", "blue boat"], ["red car"])
    assert found.novelty == pytest.approx(0.5)


@given(sentences)
@settings(max_examples=50)
def test_clusters_are_the_components_of_similar_pairs(texts: list[str]) -> None:
    words = [words_of(text) for text in texts]
    linked = {(i, j) for i in range(len(words)) for j in range(i) if words[i] and lcs_f1(words[i], words[j]) >= 0.8}
    groups = [{i} for i in range(len(words))]
    for i, j in linked:
        left = next(g for g in groups if i in g)
        right = next(g for g in groups if j in g)
        if left is not right:
            groups.remove(right)
            left |= right
    assert sorted(map(sorted, clusters(texts))) == sorted(sorted(g) for g in groups if len(g) > 1)


@given(sentences)
@settings(max_examples=50)
def test_distinct_counts_the_different_ngrams(texts: list[str]) -> None:
    words = [words_of(text) for text in texts]
    for n, share in distinct(words, (1, 2, 3)).items():
        grams = [tuple(item[start : start + n]) for item in words for start in range(len(item) - n + 1)]
        assert share == (len(set(grams)) / len(grams) if grams else 0.0)


@given(sentences, sentences)
@settings(max_examples=50)
def test_nearest_does_not_depend_on_what_is_compared_at_once(queries: list[str], texts: list[str]) -> None:
    whole = nearest(queries, texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("selfguide.analysis.neighbours.QUERIES", 2)
        patch.setattr("selfguide.analysis.neighbours.TEXTS", 3)
        assert nearest(queries, texts) == whole


def test_nearest() -> None:
    texts = ["the red car", "the blue boat", "a green tree"]
    found = nearest(["a blue boat sails", "zzz"], texts, 2)
    assert found[0][0].text_index == 1
    assert found[0][0].similarity > found[0][1].similarity > 0
    assert found[1] == []
    assert nearest([], texts) == []
    assert nearest(["x"], []) == [[]]

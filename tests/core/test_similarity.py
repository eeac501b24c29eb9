"""The index of similar sequences finds what comparing each with each finds."""

import random

import pytest

from selfguide.core import similarity
from selfguide.core.similarity import SimilarityIndex, lcs_f1


@pytest.mark.parametrize("learn_at", [2, 9, 1000])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
def test_nothing_is_missed_and_nothing_added(threshold: float, learn_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the words' frequencies, lengths and repetitions are, and however often their order is learned anew."""
    monkeypatch.setattr(similarity, "FIRST_ORDER", learn_at)
    draw = random.Random(learn_at)
    for kinds in (3, 8, 40, 2000):
        vocabulary, weights = [f"w{i}" for i in range(kinds)], [1 / (i + 1) for i in range(kinds)]
        texts = [draw.choices(vocabulary, weights, k=draw.randint(0, 30)) for _ in range(60)]
        for _ in range(60):
            text = list(draw.choice(texts))
            for index in draw.sample(range(len(text)), k=min(len(text), draw.randint(0, 4))):
                text[index] = draw.choice(vocabulary)
            texts.append(text)
        index, found = SimilarityIndex(threshold), 0
        for number, text in enumerate(texts):
            compared = [(other, lcs_f1(text, texts[other])) for other in range(number)]
            similar = [(other, f1) for other, f1 in compared if f1 >= threshold]
            assert list(index.similar(text)) == similar
            found += len(similar)
            index.add(text)
        assert found

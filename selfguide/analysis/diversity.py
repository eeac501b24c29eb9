"""How varied a set of texts is, and which of them say nearly the same. Pure."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfguide.core.similarity import SimilarityIndex, lcs_f1
from selfguide.core.text import words_of

SELF_BLEU_TEXTS = 300
ORDERS = 4


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures from 0 to 1. `self_bleu`: lower is more varied; `distinct` by n; `novelty` against the demonstrations."""

    texts: int
    self_bleu: float
    distinct: dict[int, float]
    novelty: float


def diversity(texts: Sequence[str], demonstrations: Sequence[str]) -> Diversity:
    """Diversity of `texts`. Novelty is the mean of 1 - ROUGE-L F1 with the nearest demonstration."""
    words = [words_of(text) for text in texts]
    shown = [words_of(text) for text in demonstrations]
    nearest = [max((lcs_f1(item, other) for other in shown), default=0.0) for item in words]
    return Diversity(
        texts=len(texts),
        self_bleu=self_bleu(words),
        distinct={n: distinct(words, n) for n in (1, 2, 3)},
        novelty=1 - sum(nearest) / len(nearest) if nearest else 0.0,
    )


def distinct(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams over all n-grams."""
    grams = [gram for words in texts for gram in _ngrams(words, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[Sequence[str]], limit: int = SELF_BLEU_TEXTS) -> float:
    """Mean BLEU-4 of each text against all others (smoothed by 1, brevity by the closest length).

    Of more than `limit` texts a seeded sample stands for all.
    """
    if len(texts) > limit:
        texts = random.Random(0).sample(list(texts), limit)
    texts = [words for words in texts if words]
    if len(texts) < 2:
        return 0.0
    counts = [[Counter(_ngrams(words, n)) for n in range(1, ORDERS + 1)] for words in texts]
    # The two largest counts of an n-gram give the largest among all texts but one.
    best: list[dict[tuple[str, ...], tuple[int, int]]] = [{} for _ in range(ORDERS)]
    for text in counts:
        for order, grams in enumerate(text):
            for gram, count in grams.items():
                first, second = best[order].get(gram, (0, 0))
                best[order][gram] = (count, first) if count >= first else (first, max(second, count))
    lengths = Counter(len(words) for words in texts)
    return sum(_bleu(words, grams, best, lengths) for words, grams in zip(texts, counts, strict=True)) / len(texts)


def _bleu(
    words: Sequence[str],
    counts: Sequence[Counter[tuple[str, ...]]],
    best: Sequence[dict[tuple[str, ...], tuple[int, int]]],
    lengths: Counter[int],
) -> float:
    logs = 0.0
    for order, grams in enumerate(counts):
        matched = 0
        for gram, count in grams.items():
            first, second = best[order][gram]
            matched += min(count, second if count == first else first)
        total = grams.total()
        if order == 0:
            if matched == 0:
                return 0.0
            logs += math.log(matched / total)
        else:
            logs += math.log((matched + 1) / (total + 1))
    length = len(words)
    others = lengths.copy()
    others[length] -= 1
    closest = min((n for n, count in others.items() if count > 0), key=lambda n: (abs(n - length), n))
    return math.exp(min(0.0, 1 - closest / length) + logs / ORDERS)


def clusters(texts: Sequence[str], threshold: float = 0.8) -> list[list[int]]:
    """Groups of two or more texts joined by pairs with ROUGE-L F1 of at least `threshold`, largest first."""
    words = [words_of(text) for text in texts]
    frequency = Counter(word for item in words for word in set(item))
    index = SimilarityIndex(threshold, frequency.__getitem__)
    parent = list(range(len(words)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for number, item in enumerate(words):
        for other, _ in index.similar(item):
            parent[root(number)] = root(other)
        index.add(item)
    groups: dict[int, list[int]] = {}
    for number in range(len(words)):
        groups.setdefault(root(number), []).append(number)
    return sorted((group for group in groups.values() if len(group) > 1), key=lambda group: (-len(group), group))


def _ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + n]) for start in range(len(words) - n + 1))

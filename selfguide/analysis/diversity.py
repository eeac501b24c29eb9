"""How varied a set of texts is, and which of them say nearly the same. Pure."""

import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    shown = [words_of(text) for text in demonstrations]
    nearest = (max((lcs_f1(words_of(text), other) for other in shown), default=0.0) for text in texts)
    sample = texts if len(texts) <= SELF_BLEU_TEXTS else random.Random(0).sample(list(texts), SELF_BLEU_TEXTS)
    return Diversity(
        texts=len(texts),
        self_bleu=self_bleu([words_of(text) for text in sample]),
        distinct=distinct((words_of(text) for text in texts), (1, 2, 3)),
        novelty=1 - sum(nearest) / len(texts) if texts else 0.0,
    )


def distinct(texts: Iterable[Sequence[str]], orders: Sequence[int]) -> dict[int, float]:
    """For each n: different n-grams over all n-grams. Numbers stand for words, so that many texts fit in memory."""
    numbers: dict[str, int] = {}
    coded, lengths = array("I"), array("I")
    for words in texts:
        coded.extend(numbers.setdefault(word, len(numbers) + 1) for word in words)
        coded.append(0)  # no n-gram goes over the end of a text
        lengths.append(len(words))
    every, long = np.frombuffer(coded, np.uint32), np.frombuffer(lengths, np.uint32).astype(np.int64)
    shares, grams = {}, every.astype(np.uint64)
    for n in range(1, max(orders) + 1):
        if n > 1:
            if int(grams.max(initial=0)) * (len(numbers) + 1) >= 2**63:
                grams = np.unique(grams, return_inverse=True)[1].astype(np.uint64)
            grams = grams[:-1] * np.uint64(len(numbers) + 1) + every[n - 1 :]
        if n in orders:
            total = int(np.maximum(long - (n - 1), 0).sum())
            shares[n] = _within(grams, every, n) / total if total else 0.0
    return shares


def _within(grams: Any, every: Any, n: int) -> int:
    """How many different ones of the n-grams lie within a text."""
    inside = np.ones(len(grams), bool)
    for offset in range(n):
        inside &= every[offset : offset + len(grams)] != 0
    return len(np.unique(grams[inside]))


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Mean BLEU-4 of each text against all others (smoothed by 1, brevity by the closest length)."""
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
    index = SimilarityIndex(threshold)
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

"""How alike two sequences are: the one measure that filters, metrics and reports share. Pure."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rapidfuzz.distance import LCSseq

EPSILON = 1e-9


def lcs_f1(left: Sequence[str], right: Sequence[str]) -> float:
    """F1 of the longest common subsequence, 0 to 1: of words, ROUGE-L; of two strings, that of their characters."""
    total = len(left) + len(right)
    return 2 * LCSseq.similarity(left, right) / total if total else 0.0


class SimilarityIndex:
    """Sequences of words, and which of them have an F1 of at least `threshold` with a new one.

    Exact, without comparing each with each: two such sequences share one of their first words in any fixed order,
    of each as many as the threshold leaves (prefix filtering, Chaudhuri et al. 2006). `rank` is that order: the rarer
    the words that come first, the fewer sequences are compared.
    """

    def __init__(self, threshold: float, rank: Callable[[str], Any]) -> None:
        self._threshold, self._rank = threshold, rank
        self._numbers: dict[str, int] = {}
        self._sequences: list[array[int]] = []
        self._found: dict[tuple[str, int], list[int]] = {}

    def similar(self, words: Sequence[str]) -> Iterator[tuple[int, float]]:
        """Numbers, in the order of `add`, and F1 of the sequences that are similar enough."""
        coded, t = self._coded(words), self._threshold
        shortest, longest = len(words) * t / (2 - t) - EPSILON, len(words) * (2 - t) / t + EPSILON
        for number in {number for key in self._first(words) for number in self._found.get(key, ())}:
            other = self._sequences[number]
            if shortest <= len(other) <= longest:
                total = len(words) + len(other)
                common = LCSseq.similarity(coded, other, score_cutoff=math.ceil(t * total / 2 - EPSILON))
                if common and 2 * common / total >= t:
                    yield number, 2 * common / total

    def add(self, words: Sequence[str]) -> None:
        """One more, with the next number."""
        for key in self._first(words):
            self._found.setdefault(key, []).append(len(self._sequences))
        self._sequences.append(self._coded(words))

    def _coded(self, words: Sequence[str]) -> "array[int]":
        return array("L", [self._numbers.setdefault(word, len(self._numbers)) for word in words])

    def _first(self, words: Sequence[str]) -> list[tuple[str, int]]:
        """The words, each with how often it stood before, that no similar sequence can all be without."""
        needed = math.ceil(self._threshold * len(words) / (2 - self._threshold) - EPSILON)
        seen: Counter[str] = Counter()
        keys = []
        for word in sorted(words, key=lambda word: (self._rank(word), word)):
            keys.append((word, seen[word]))
            seen[word] += 1
        return keys[: len(keys) - needed + 1]

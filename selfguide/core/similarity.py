"""How alike two sequences are: the one measure that filters, metrics and reports share. Pure."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import LCSseq

EPSILON = 1e-9
FIRST_ORDER = 1000
"""Sequences from which on the order of words is learned; again whenever there are twice as many."""
BITS = 256
_LENGTHS = [1]
while _LENGTHS[-1] < 100_000:
    _LENGTHS.append(max(_LENGTHS[-1] + 1, int(_LENGTHS[-1] * 1.2)))  # at most 64 classes of lengths


def lcs_f1(left: Sequence[str], right: Sequence[str]) -> float:
    """F1 of the longest common subsequence, 0 to 1: of words, ROUGE-L; of two strings, that of their characters."""
    total = len(left) + len(right)
    return 2 * LCSseq.similarity(left, right) / total if total else 0.0


class SimilarityIndex:
    """Sequences of words, and which of them have an F1 of at least `threshold` with a new one.

    Exact, without comparing each with each. Two such sequences share one of their rarest words, of each as many as
    their lengths and the threshold leave (prefix filtering, Chaudhuri et al. 2006), so each is filed by its rarest
    words and its length; and the signatures of both, of 256 bits, differ in few. Only what passes is compared.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._numbers: dict[Any, int] = {}  # of words; of the n-th time that a word stands in one text
        self._seen: list[int] = []  # in how many sequences each stands
        self._ranks: list[int] = []  # in the order that was learned; what was not seen by then is rarer still
        self._sequences: list[array[int]] = []
        self._found: dict[int, array[int]] = {}
        self._last: tuple[Sequence[str], array[int], list[int]] = ((), array("I"), [])
        self._learn_at = FIRST_ORDER
        self._bits = [np.zeros(FIRST_ORDER, np.uint64) for _ in range(BITS // 64)]
        self._lengths = np.zeros(FIRST_ORDER, np.uint32)

    def similar(self, words: Sequence[str]) -> Iterator[tuple[int, float]]:
        """Numbers, in the order of `add`, and F1 of the sequences that are similar enough."""
        coded, tokens = self._read(words)
        for number in self._possible(tokens):
            other = self._sequences[number]
            total = len(coded) + len(other)
            common = LCSseq.similarity(coded, other, score_cutoff=self._needed(total))
            if common and 2 * common / total >= self._threshold:
                yield number, 2 * common / total

    def add(self, words: Sequence[str]) -> None:
        """One more, with the next number."""
        (coded, tokens), number = self._read(words), len(self._sequences)
        if number == len(self._lengths):
            self._bits = [np.concatenate([column, np.zeros_like(column)]) for column in self._bits]
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
        for token in tokens:
            self._seen[token] += 1
        self._lengths[number] = len(coded)
        for column, bits in zip(self._bits, _signature(tokens), strict=True):
            column[number] = bits
        self._sequences.append(coded)
        if number + 1 == self._learn_at:
            self._learn()
        else:
            self._file(number, tokens)
        self._last = ((), array("I"), [])

    def _needed(self, total: int) -> int:
        """Words in common that two sequences of `total` words must have."""
        return math.ceil(self._threshold * total / 2 - EPSILON)

    def _possible(self, tokens: Sequence[int]) -> list[int]:
        """What may be similar enough: by rare words and lengths, then by signatures."""
        length, ratio = len(tokens), (2 - self._threshold) / self._threshold
        shortest = max(1, math.ceil(length / ratio - EPSILON))
        hits, found = array("I"), self._found
        for size in range(_size(shortest), _size(int(length * ratio + EPSILON)) + 1):
            needed = self._needed(length + max(shortest, _LENGTHS[size]))
            for token in tokens[: max(0, length - needed + 1)]:
                if (key := token << 8 | size) in found:
                    hits.extend(found[key])
        if not hits:
            return []
        # Each of `total` words that is in one sequence alone sets at most one bit in one signature alone.
        totals = np.arange(length, length + int(length * ratio + 1) + 1)
        allowed = totals - 2 * np.ceil(self._threshold * totals / 2 - EPSILON)
        numbers = np.frombuffer(hits, np.uint32)
        limits = np.take(allowed.astype(np.int32), self._lengths[numbers], mode="clip")
        different = np.zeros(len(numbers), np.int32)
        # The first bits already tell most apart.
        for column, bits in zip(self._bits, _signature(tokens), strict=True):
            different += np.bitwise_count(column[numbers] ^ bits)
            close = different <= limits
            numbers, limits, different = numbers[close], limits[close], different[close]
        return sorted(set(numbers.tolist()))

    def _file(self, number: int, tokens: Sequence[int]) -> None:
        length = len(tokens)
        shortest = math.ceil(length * self._threshold / (2 - self._threshold) - EPSILON)
        size = _size(length) if length else 0
        for token in tokens[: max(0, length - self._needed(length + shortest) + 1)]:
            key = token << 8 | size
            if (found := self._found.get(key)) is None:
                self._found[key] = found = array("I")
            found.append(number)

    def _learn(self) -> None:
        """The order of words, by how often they were seen, and everything filed anew."""
        self._learn_at = 2 * len(self._sequences)
        for rank, token in enumerate(sorted(range(len(self._seen)), key=self._seen.__getitem__)):
            self._ranks[token] = rank
        self._found = {}
        for number, coded in enumerate(self._sequences):
            self._file(number, self._tokens(coded))

    def _read(self, words: Sequence[str]) -> tuple["array[int]", list[int]]:
        """The sequence as numbers, and its tokens; one that was just looked for is often added next."""
        if self._last[0] != words:
            coded = array("I", [self._number(word) for word in words])
            self._last = (list(words), coded, self._tokens(coded))
        return self._last[1:]

    def _tokens(self, coded: Sequence[int]) -> list[int]:
        """The words, rarest first; the second time that a word stands there is another token than the first."""
        tokens = list(coded)
        if len(set(tokens)) < len(tokens):
            times: dict[int, int] = {}
            for index, word in enumerate(tokens):
                times[word] = time = times.get(word, 0) + 1
                if time > 1:
                    tokens[index] = self._number((word, time))
        return sorted(tokens, key=self._ranks.__getitem__)

    def _number(self, name: Any) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._seen)
            self._seen.append(0)
            self._ranks.append(-number)
        return number


def _size(length: int) -> int:
    """The class of a length."""
    return bisect_right(_LENGTHS, length) - 1


def _signature(tokens: Sequence[int]) -> Any:
    bits = 0
    for token in tokens:
        bits |= 1 << (token % BITS)
    return np.frombuffer(bits.to_bytes(BITS // 8, "little"), np.uint64)

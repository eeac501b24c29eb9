"""The synthetic inputs nearest to each evaluation input: what the model may have learned an error from. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from selfguide.core.text import words_of

QUERIES, TEXTS = 64, 8192
"""Compared at once: a matrix of cosines of that size, whatever the number of texts."""


class Neighbour(NamedTuple):
    """The index of a synthetic input and its cosine similarity, 0 to 1."""

    text_index: int
    similarity: float


def nearest(queries: Sequence[str], texts: Sequence[str], count: int = 3) -> list[list[Neighbour]]:
    """For each query the `count` most similar of `texts` (TF-IDF over words), most similar first; none at 0."""
    if not queries or not texts:
        return [[] for _ in queries]
    vocabulary = Vocabulary(texts)
    requested = [vocabulary.vectors(block) for block in _blocks(queries, QUERIES)]
    best: list[list[tuple[float, int]]] = [[] for _ in queries]
    for start, block in zip(range(0, len(texts), TEXTS), _blocks(texts, TEXTS), strict=True):
        known = vocabulary.vectors(block).T.tocsc()
        for number, asked in enumerate(requested):
            cosines = (asked @ known).toarray()
            for row, values in enumerate(cosines, number * QUERIES):
                best[row] = sorted([*best[row], *_largest(values, count, start)])[:count]
    return [[Neighbour(index, round(-cosine, 3)) for cosine, index in found] for found in best]


def _blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _largest(values: Any, count: int, start: int) -> list[tuple[float, int]]:
    """(minus the cosine, index) of the largest cosines above 0, of equal ones the first."""
    least = np.partition(values, -count)[-count] if len(values) > count else 0.0
    indices = np.flatnonzero((values >= least) & (values > 0))
    order = np.argsort(-values[indices], kind="stable")[:count]
    return [(-float(values[index]), start + int(index)) for index in indices[order]]


class Vocabulary:
    """The words of some texts, and what each weighs: the rarer, the more (inverse document frequency)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._indices: dict[str, int] = {}
        seen: Counter[int] = Counter()
        for text in texts:
            seen.update({self._indices.setdefault(word, len(self._indices)) for word in words_of(text)})
        frequencies = np.array([seen[index] for index in range(max(len(self._indices), 1))], np.float64)
        self._weights = np.log((1 + len(texts)) / (1 + frequencies)) + 1

    def vectors(self, texts: Sequence[str]) -> Any:
        """TF-IDF of the known words, sparse, (texts, words), each row of length 1 or 0."""
        from scipy.sparse import csr_matrix

        rows = [Counter(index for word in words_of(t) if (index := self._indices.get(word)) is not None) for t in texts]
        i = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        j = np.fromiter((word for row in rows for word in row), dtype=np.int64, count=len(i))
        counts = np.fromiter((count for row in rows for count in row.values()), dtype=np.float64, count=len(i))
        values = (1 + np.log(counts)) * self._weights[j]
        matrix = csr_matrix((values, (i, j)), shape=(len(rows), len(self._weights)))
        norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
        norms[norms == 0] = 1
        return csr_matrix(matrix.multiply(1 / norms[:, None]))

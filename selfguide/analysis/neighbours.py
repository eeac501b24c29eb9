"""The synthetic inputs nearest to each evaluation input: what the model may have learned an error from. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from selfguide.core.text import words_of

BLOCK = 64
"""Queries at once: a row of cosines for each, as wide as there are texts."""


class Neighbour(NamedTuple):
    """The index of a synthetic input and its cosine similarity, 0 to 1."""

    text_index: int
    similarity: float


def nearest(queries: Sequence[str], texts: Sequence[str], count: int = 3) -> list[list[Neighbour]]:
    """For each query the `count` most similar of `texts` (TF-IDF over words), most similar first; none at 0."""
    if not queries or not texts:
        return [[] for _ in queries]
    vocabulary = Vocabulary(texts)
    known = vocabulary.vectors(texts)
    nearest_texts: list[list[Neighbour]] = []
    for start in range(0, len(queries), BLOCK):
        cosines = (vocabulary.vectors(queries[start : start + BLOCK]) @ known.T).toarray()
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        nearest_texts.extend(
            [Neighbour(int(index), round(float(row[index]), 3)) for index in indices if row[index] > 0]
            for row, indices in zip(cosines, best, strict=True)
        )
    return nearest_texts


class Vocabulary:
    """The words of some texts, and what each weighs: the rarer, the more (inverse document frequency)."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._indices: dict[str, int] = {}
        rows = [{self._indices.setdefault(word, len(self._indices)) for word in words_of(text)} for text in texts]
        seen = np.zeros(max(len(self._indices), 1))
        for row in rows:
            seen[list(row)] += 1
        self._weights = np.log((1 + len(texts)) / (1 + seen)) + 1

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

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
    vocabulary: dict[str, int] = {}
    rows = [Counter(vocabulary.setdefault(word, len(vocabulary)) for word in words_of(text)) for text in texts]
    seen = np.zeros(max(len(vocabulary), 1))
    for row in rows:
        seen[list(row)] += 1
    weights = np.log((1 + len(texts)) / (1 + seen)) + 1
    known = _matrix(rows, weights)
    requested = [Counter(vocabulary[word] for word in words_of(query) if word in vocabulary) for query in queries]
    nearest_texts: list[list[Neighbour]] = []
    for start in range(0, len(requested), BLOCK):
        cosines = (_matrix(requested[start : start + BLOCK], weights) @ known.T).toarray()
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        nearest_texts.extend(
            [Neighbour(int(index), round(float(row[index]), 3)) for index in indices if row[index] > 0]
            for row, indices in zip(cosines, best, strict=True)
        )
    return nearest_texts


def _matrix(rows: Sequence[Counter[int]], weights: Any) -> Any:
    from scipy.sparse import csr_matrix

    i = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    j = np.fromiter((word for row in rows for word in row), dtype=np.int64, count=len(i))
    counts = np.fromiter((count for row in rows for count in row.values()), dtype=np.float64, count=len(i))
    matrix = csr_matrix(((1 + np.log(counts)) * weights[j], (i, j)), shape=(len(rows), len(weights)))
    norms = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    norms[norms == 0] = 1
    return csr_matrix(matrix.multiply(1 / norms[:, None]))

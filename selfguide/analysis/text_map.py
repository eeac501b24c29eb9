"""Texts as points in a plane: which of the real inputs the synthetic ones cover. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selfguide.analysis.neighbours import Vocabulary

MAX_TEXTS = 200
"""Of each group; the page holds a dot for each."""


def plane(texts: Sequence[str]) -> tuple[NDArray[np.float64], float]:
    """The two principal components of the texts' TF-IDF, (texts, 2), and the share of the variance that they hold.

    The signs are fixed by the largest entry of each component, so that the same texts give the same points.
    """
    vectors = Vocabulary(texts).vectors(texts).toarray()
    vectors -= vectors.mean(axis=0)
    values, components = np.linalg.eigh(vectors @ vectors.T)
    points = components[:, -1:-3:-1] * np.sqrt(np.maximum(values[-1:-3:-1], 0))
    signs = np.sign(points[np.abs(points).argmax(axis=0), range(points.shape[1])])
    total = float(np.maximum(values, 0).sum())
    return points * signs, float(np.maximum(values[-2:], 0).sum()) / total if total > 0 else 0.0


def spread(texts: Sequence[str]) -> list[str]:
    """At most `MAX_TEXTS` of the texts, evenly spaced."""
    if len(texts) <= MAX_TEXTS:
        return list(texts)
    return [texts[index * len(texts) // MAX_TEXTS] for index in range(MAX_TEXTS)]

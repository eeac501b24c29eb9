"""How alike two sequences are: the one measure that filters, metrics and reports share. Pure."""

from collections.abc import Sequence

from rapidfuzz.distance import LCSseq


def lcs_f1(left: Sequence[str], right: Sequence[str]) -> float:
    """F1 of the longest common subsequence, 0 to 1: of words, ROUGE-L; of two strings, that of their characters."""
    total = len(left) + len(right)
    return 2 * LCSseq.similarity(left, right) / total if total else 0.0

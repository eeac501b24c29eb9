"""Contamination: texts that equal, or share a long run of words with, a set of inputs. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """`texts[index]` equals a gold input ("exact"), or shares the words `matched` with one ("ngram")."""

    index: int
    kind: Literal["exact", "ngram"]
    matched: str


class OverlapIndex:
    """Word n-grams of the inputs. Words are compared without case and punctuation."""

    def __init__(self, inputs: Iterable[str], ngram: int = 8) -> None:
        if ngram < 1:
            raise ValueError(f"ngram must be at least 1, not {ngram}")
        self.ngram = ngram
        words = [_words(text) for text in inputs]
        self._whole = {tuple(item) for item in words if item}
        self._runs = {run for item in words for run in _runs(item, ngram)}

    def find(self, texts: Sequence[str]) -> list[Overlap]:
        """The texts that overlap, at most one finding for each."""
        found = []
        for index, text in enumerate(texts):
            words = _words(text)
            if tuple(words) in self._whole:
                found.append(Overlap(index, "exact", " ".join(words)))
                continue
            run = next((run for run in _runs(words, self.ngram) if run in self._runs), None)
            if run is not None:
                found.append(Overlap(index, "ngram", " ".join(run)))
        return found


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _runs(words: list[str], ngram: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + ngram]) for start in range(len(words) - ngram + 1))

"""What pretraining may show and what it keeps for the drawn tasks: a part for every form, label set and paraphrase.

The part follows from a hash of the text, so no list has to be kept: what a development or a test task is
made of is never in the corpus, and development and test share nothing that was drawn.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Literal

from benchmarks.micro.heldout import LABEL_WORDS

Part = Literal["corpus", "development", "test"]
Kind = Literal["form", "labels", "paraphrase", "label word"]
_KEPT = 0.15
"""Share of each kind of thing that development keeps, and as much again that the test keeps."""


@cache
def part_of(kind: Kind, text: str) -> Part:
    """The one part that may use `text`."""
    at = int.from_bytes(hashlib.sha256(f"{kind}\x1f{text}".encode()).digest()[:4], "big") / 2**32
    return "development" if at < _KEPT else "test" if at < 2 * _KEPT else "corpus"


def part_of_classes(classes: Sequence[Sequence[str]]) -> Part:
    """The part of a set of classes, in any order."""
    return part_of("labels", " | ".join(sorted(",".join(sorted(groups)) for groups in classes)))


def label_words(part: Part) -> tuple[str, ...]:
    """Words that are a label of arbitrary meaning in this part alone; the corpus has any other word."""
    words = sorted(LABEL_WORDS)
    return () if part == "corpus" else tuple(words[0::2] if part == "development" else words[1::2])

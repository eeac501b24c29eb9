"""Label names, drawn anew for every episode over the whole vocabulary: the demonstrations give them meaning."""

import random
from collections.abc import Sequence

from benchmarks.micro.heldout import LABEL_WORDS
from benchmarks.micro.lexicon import WORDS

_SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")
_NATURAL = [
    "yes",
    "no",
    "true",
    "false",
    "good",
    "bad",
    "one",
    "many",
    "first",
    "second",
    "alpha",
    "beta",
    "red-team",
    "blue-team",
    "plus",
    "minus",
    "high",
    "low",
    "new",
    "old",
    "same",
    "other",
    "hot",
    "cold",
    "happy",
    "sad",
    "open",
    "closed",
    "type",
    "kind",
    "group",
    "class",
    "set",
    "pass",
    "fail",
    "accept",
    "reject",
    "positive",
    "negative",
    "neutral",
    "urgent",
    "normal",
    "public",
    "private",
    "east",
    "west",
    "north",
    "south",
    "inner",
    "outer",
    "early",
    "late",
    "even",
    "odd",
    "hard",
    "soft",
    "rich",
    "poor",
    "start",
    "end",
    "buy",
    "sell",
    "stay",
    "go",
    "home",
    "work",
    "play",
    "rest",
    "person",
    "thing",
    "place",
    "time",
    "animal",
    "food",
]
_LEXICON = tuple(w for ws in WORDS.values() for w in ws)


def draw_labels(rng: random.Random, count: int, pieces: Sequence[str], simple: float = 0.6) -> tuple[str, ...]:
    """`count` label names of one style; with probability `simple` each is a single piece of the vocabulary."""
    style = rng.random()
    distinct = count < 5 and rng.random() < 0.9
    while True:
        names = tuple(_name(rng, style, pieces, simple) for _ in range(count))
        heads = {n.strip("[](){}-")[:2] if distinct else n for n in names}
        if len(heads) == count and not any(p.strip("[]") in LABEL_WORDS for n in names for p in n.lower().split()):
            return names


def _name(rng: random.Random, style: float, pieces: Sequence[str], simple: float) -> str:
    if pieces and style < simple:
        return rng.choice(pieces)
    style = (style - simple) / (1 - simple) if pieces else style
    if pieces and style < 0.45:
        name = "".join(rng.choice(pieces) for _ in range(rng.choice((1, 2, 2, 3))))
    elif style < 0.6:
        name = "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3))))
    elif style < 0.7:
        return rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789")
    elif style < 0.85:
        name = rng.choice(_LEXICON)
    else:
        name = rng.choice(_NATURAL)
    dress = rng.random()
    if dress < 0.08:
        return f"[{name}]"
    if dress < 0.16:
        return f"{name} {rng.choice(pieces or _NATURAL)}"
    return name.capitalize() if dress < 0.24 else name

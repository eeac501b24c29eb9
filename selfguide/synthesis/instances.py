"""New inputs out of one reply that numbers them (Self-ICL). Pure."""

import re
from collections.abc import Iterable

from selfguide.core.text import normalised, strip_field_name, strip_quotes

HEAD = re.compile(r"^[ \t*#]*new instance[ \t]+\d+[ \t*]*(?::[ \t*]*|$)", re.IGNORECASE | re.MULTILINE)
# What follows in a block is no more of the input.
NEXT_FIELD = re.compile(r"^(?:input|output|task):", re.IGNORECASE | re.MULTILINE)


def parse_instances(reply: str, count: int, *, opened: bool, cut: bool = False) -> list[str]:
    """At most `count` inputs of a reply of blocks "New instance 1:", of any number of digits and lines.

    `opened`: the prompt ended with the first head, so the reply starts inside it; else what stands
    before the first head is no input. `cut`: the reply was ended by its length, and its last block
    is left out. A reply with fewer blocks gives fewer inputs, one without any gives none.
    """
    before, *blocks = HEAD.split(reply)
    blocks = [before, *blocks] if opened else blocks
    texts = [_input_of(block) for block in (blocks[:-1] if cut else blocks)]
    return [text for text in texts if text][:count]


def distinct(texts: Iterable[str], test: str) -> list[str]:
    """The texts that repeat neither the test input nor one before them; case and punctuation do not count."""
    seen = {normalised(test), ""}
    kept = []
    for text in texts:
        if normalised(text) not in seen:
            seen.add(normalised(text))
            kept.append(text)
    return kept


def _input_of(block: str) -> str:
    return strip_quotes(NEXT_FIELD.split(strip_field_name(block), maxsplit=1)[0])

"""What a model's reply says: an input without its wrappings, pairs of input and output, numbered instances. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from selfguide.core.text import normalised, strip_field_name, strip_quotes
from selfguide.tasks.context import split_context

CLOSING = ('"', "”")
# Behind a number ("1.", "2)") or mark-up, as chat models like to write it.
FIELD = r"(?:^|\n)[ \t]*(?:\d{{1,2}}[.)][ \t]*)?(?:\*\*)?{name}(?:\*\*)?[ \t]*:(?:\*\*)?"
INPUT = re.compile(FIELD.format(name="input"), re.IGNORECASE)
OUTPUT = re.compile(FIELD.format(name="output"), re.IGNORECASE)
INSTANCE = re.compile(r"^[ \t*#]*new instance[ \t]+\d+[ \t*]*(?::[ \t*]*|$)", re.IGNORECASE | re.MULTILINE)
# What follows in a block is no more of the input.
NEXT_FIELD = re.compile(r"^(?:input|output|task):", re.IGNORECASE | re.MULTILINE)


def unquoted(text: str) -> str:
    """Without quotation marks around the whole text, or one that opens it and was cut off from its other."""
    text = strip_quotes(text)
    closing = {'"': '"', "“": "”", "«": "»"}.get(text[:1])
    return text[1:].strip() if closing is not None and closing not in text[1:] else text


def closing_cut(text: str) -> str | None:
    """Up to the first closing quotation mark, else the end of the line, else the last full stop; None without any."""
    ends = [index for mark in CLOSING if (index := text.find(mark)) >= 0]
    if ends:
        return text[: min(ends)].strip()
    if "\n" in text:
        return text.partition("\n")[0].strip()
    stop = text.rfind(".")
    return None if stop < 0 else text[: stop + 1].strip()


def without_repeated_start(text: str, start: str, marker: str) -> str:
    """The text behind a fixed part (`start`, which ends with `marker`) that chat models like to repeat."""
    repeated = split_context(text, marker)
    if repeated is not None and normalised(repeated.context + marker) == normalised(start):
        return repeated.target[len(marker) :].strip()
    return text.removeprefix(marker.strip()).strip()


def with_unquoted_target(text: str, marker: str | None) -> str:
    """The text, of which the part behind the marker loses its own quotation marks."""
    parts = split_context(text, marker)
    if parts is None or marker is None:
        return text
    return f"{parts.context}{marker} {unquoted(parts.target[len(marker) :])}"


class Pair(NamedTuple):
    """One input with its output, or the reason why there is none."""

    input: str
    output: str | None
    dropped: str | None = None


def read_pairs(reply: str, cut: bool) -> list[Pair]:
    """The pairs of a reply, in order; it may start without "Input:", where the prompt ended with it.

    The last pair of a reply that was cut by its length (`cut`) is dropped: its output may be a part.
    """
    pieces = INPUT.split(reply)
    pieces = pieces if pieces[0].strip() else pieces[1:]
    pairs = [_pair(piece) for piece in pieces]
    if cut and pairs:
        pairs[-1] = pairs[-1]._replace(dropped="cut_off")
    return pairs


def _pair(piece: str) -> Pair:
    text, *outputs = OUTPUT.split(piece)
    if len(outputs) != 1:
        return Pair(text.strip(), None, "no_output" if not outputs else "two_outputs")
    output = strip_quotes(outputs[0])
    return Pair(text.strip(), output or None, None if output else "no_output")


def read_instances(reply: str, count: int, *, opened: bool, cut: bool = False) -> list[str]:
    """At most `count` inputs of a reply of blocks "New instance 1:", of any number of digits and lines (Self-ICL).

    `opened`: the prompt ended with the first head, so the reply starts inside it; else what stands
    before the first head is no input. `cut`: the reply was ended by its length, and its last block
    is left out. A reply with fewer blocks gives fewer inputs, one without any gives none.
    """
    before, *blocks = INSTANCE.split(reply)
    blocks = [before, *blocks] if opened else blocks
    fields = [NEXT_FIELD.split(strip_field_name(block), maxsplit=1)[0] for block in (blocks[:-1] if cut else blocks)]
    return [text for text in map(strip_quotes, fields) if text][:count]


def distinct(texts: Iterable[str], test: str) -> list[str]:
    """The texts that repeat neither the test input nor one before them; case and punctuation do not count."""
    seen = {normalised(test), ""}
    kept = []
    for text in texts:
        if normalised(text) not in seen:
            seen.add(normalised(text))
            kept.append(text)
    return kept

"""Pairs of input and output in one reply: reading them out of free text. Pure."""

import re
from typing import NamedTuple

from selfguide.core.text import strip_quotes

# Behind a number ("1.", "2)") or mark-up, as chat models like to write it.
FIELD = r"(?:^|\n)[ \t]*(?:\d{{1,2}}[.)][ \t]*)?(?:\*\*)?{name}(?:\*\*)?[ \t]*:(?:\*\*)?"
INPUT = re.compile(FIELD.format(name="input"), re.IGNORECASE)
OUTPUT = re.compile(FIELD.format(name="output"), re.IGNORECASE)


class Pair(NamedTuple):
    """One input with its output, or the reason why there is none."""

    input: str
    output: str | None
    dropped: str | None = None


def read_pairs(text: str, cut: bool) -> list[Pair]:
    """The pairs of a reply, in order; it may start without "Input:", where the prompt ended with it.

    The last pair of a reply that was cut by its length (`cut`) is dropped: its output may be a part.
    """
    pieces = INPUT.split(text)
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

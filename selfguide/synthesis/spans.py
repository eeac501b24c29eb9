"""Answers that a passage offers: names and numbers, where no tagger is at hand. Pure."""

import re

SPAN = re.compile(r"\b(?:[A-Z][\w'’-]*(?:\s+(?:of\s+)?[A-Z][\w'’-]*)*|\d[\d,.]*\d|\d+)")
STARTS = re.compile(r"(?:^|[.!?:]\s+|\n\s*)$")
SHORT = 3


def answer_spans(text: str) -> list[str]:
    """Runs of capitalised words and numbers, each once, in order.

    A single capitalised word at the start of a sentence is no name, nor is one shorter than three letters.
    """
    found: dict[str, None] = {}
    for match in SPAN.finditer(text):
        span = match.group()
        lone = not span[0].isdigit() and " " not in span
        if not lone or (len(span) >= SHORT and not STARTS.search(text[: match.start()])):
            found[span] = None
    return list(found)

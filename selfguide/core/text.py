"""Small text normalisations that the filters share. Pure."""

import re
import unicodedata

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
FIELD_NAME = re.compile(r"^\s*(?:\*\*)?(?:new )?input(?:\*\*)?\s*:(?:\*\*)?", re.IGNORECASE)


class _Bare(dict[int, int]):
    """Characters as `str.translate` takes them, each looked up once: punctuation and symbols are spaces."""

    def __missing__(self, character: int) -> int:
        kind = unicodedata.category(chr(character))[0]
        self[character] = ord(" ") if kind in "PS" else character
        return self[character]


_BARE = _Bare()


def strip_quotes(text: str) -> str:
    """Take off quotation marks that wrap the whole text; quotes inside stay."""
    text = text.strip()
    while len(text) >= 2 and QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def strip_field_name(text: str) -> str:
    """Take off a leading "Input:", with which chat models like to open their reply."""
    return FIELD_NAME.sub("", text, count=1).strip()


def normalised(text: str) -> str:
    """The form in which two texts are "the same": case, punctuation and spacing do not count.

    A text of punctuation alone keeps it, so that "+" and "-" stay different.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_BARE).split()) or " ".join(folded.split())


def words_of(text: str) -> list[str]:
    """Words without case and punctuation."""
    return normalised(text).split()

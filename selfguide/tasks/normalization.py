"""How texts are normalised and cut into words for the metrics."""

import re
import string
import unicodedata

from selfguide.tasks.labels import UNSPACED_CHAR

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """The official Super-NI normalisation: lower case, no ASCII punctuation, single spaces.

    Unlike SQuAD's it keeps articles.
    """
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def squad_tokens(text: str) -> list[str]:
    """SQuAD's words: the above without the articles a, an and the."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def is_latin(text: str) -> bool:
    """Whether at least half of the letters and digits are ASCII (true of a text without any)."""
    alphanumeric = [char for char in text if char.isalnum()]
    return 2 * sum(char.isascii() for char in alphanumeric) >= len(alphanumeric)


def unicode_words(text: str) -> list[str]:
    """Words of any script, case folded; in scripts without spaces every character is a word.

    Letters, digits and combining marks make words, anything else separates them.
    """
    words: list[str] = []
    inside = False  # a word that the next letter may join
    for char in unicodedata.normalize("NFKC", text).casefold():
        kind = unicodedata.category(char)[0]
        if kind == "M" and words and inside:
            words[-1] += char
        elif kind not in "LMN":
            inside = False
        elif inside and not UNSPACED_CHAR.match(char) and not UNSPACED_CHAR.match(words[-1]):
            words[-1] += char
        else:
            words.append(char)
            inside = True
    return words


class UnicodeTokenizer:
    """`unicode_words` in the shape that rouge-score wants."""

    def tokenize(self, text: str) -> list[str]:
        """The words of `text`."""
        return unicode_words(text)

"""From a model's free text to one of the task's labels."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from selfguide.core.types import LabelExtraction

# Scripts written without spaces have no word boundaries to look for.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u2e80-\u2fdf\u3005-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
)
# What may stand between an answer's beginning, or "Answer:" and the like, and the answer itself.
ANSWER_MARKER = re.compile(
    r"\b(?:answer|label|output|response|choice|option|class|category)"
    r"(?:\s*[:=]|\s+(?:is|was|would be|should be))[\W_]*$",
    re.IGNORECASE,
)
JOINT = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
UNSPACED_CHAR = re.compile(f"[{UNSPACED}]")


def extract_label(text: str, labels: Sequence[str], rule: LabelExtraction) -> str | None:
    """The label that `text` gives, one of `labels` as written there, or None.

    - `exact`: the whole text is the label, but for case, white space and outer punctuation.
    - `first_line`: the first line with text is the label, or names it first, as a whole word.
    - `last_occurrence`: the label named last, as a whole word, anywhere in the text.
    - `reference`: the last substring, in the case given, that is a label (the rule of the
      reference code, which finds "no" in "notes").

    Of two labels that start at the same character the longer one counts. A label of one letter must
    have the right case, unless it is the whole text: "a" is seldom the label "A". A label of digits counts where an
    answer stands alone, at the beginning or behind "Answer:" and the like: "Sentence 1:" does not give the label 1.
    """
    if not labels:
        raise ValueError("no labels to extract")
    if rule == "reference":
        # As there: the labels in the order given, not the longest first.
        matches = re.findall("|".join(re.escape(label) for label in labels), text)
        return matches[-1] if matches else None
    whole = _match_whole(text, labels)
    if whole is not None or rule == "exact":
        return whole
    if rule == "first_line":
        text = next((line for line in text.splitlines() if line.strip()), "")
        whole = _match_whole(text, labels)
        if whole is not None:
            return whole
    found = _named(text, tuple(labels))
    if not found:
        return None
    return found[0] if rule == "first_line" else found[-1]


def normalized_label(text: str) -> str:
    """Case folded, white space normalised, without outer punctuation unless nothing else is there."""
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    start, end = 0, len(folded)
    while start < end and _is_wrapping(folded[start]) and not _is_minus(folded, start):
        start += 1
    while end > start and _is_wrapping(folded[end - 1]):
        end -= 1
    return folded[start:end].strip() or folded


def _match_whole(text: str, labels: Sequence[str]) -> str | None:
    """The label that is the whole text; an exact spelling wins over another in case only."""
    stripped = text.strip()
    if stripped in labels:
        return stripped
    wanted = normalized_label(text)
    return next((label for label in labels if normalized_label(label) == wanted), None) if wanted else None


def _is_wrapping(char: str) -> bool:
    # Quotes, brackets, ends of sentences, mark-up; not signs that a label is made of (C++, C#, %).
    return unicodedata.category(char) in ("Ps", "Pe", "Pi", "Pf") or char in " .,:;!?…*_`~\"'|-–—。、，！？：；"


def _is_minus(text: str, index: int) -> bool:
    return text[index] == "-" and text[index + 1 : index + 2].isdigit()


def _named(text: str, labels: tuple[str, ...]) -> list[str]:
    """The labels that occur as whole words, in order of occurrence."""
    pattern, by_group = _pattern(labels)
    flat = unicodedata.normalize("NFC", text)
    return [
        by_group[match.lastgroup]
        for match in pattern.finditer(flat)
        if match.lastgroup is not None and (not match.group().isdigit() or _is_answer(flat, match))
    ]


def _is_answer(text: str, match: re.Match[str]) -> bool:
    """Whether a number is given as an answer: at the beginning, no word right behind it, or behind a marker."""
    before, after = text[: match.start()], text[match.end() :].lstrip()
    begins = not any(char.isalnum() for char in before) and not after[:1].isalnum()
    return begins or ANSWER_MARKER.search(before) is not None


@lru_cache(maxsize=64)
def _pattern(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    by_group = {f"label{index}": label for index, label in enumerate(labels)}
    # Same length and same text but for case: the one listed first, if its case does not match.
    longest_first = sorted(by_group.items(), key=lambda item: -len(item[1]))
    exact = [f"(?P<{group}_>{_body(label)})" for group, label in longest_first if _is_letter(label)]
    folded = [f"(?P<{group}>(?i:{_body(label)}))" for group, label in longest_first if not _is_letter(label)]
    by_group |= {f"{group}_": label for group, label in by_group.items()}
    return re.compile("|".join([*folded, *exact])), by_group


def _is_letter(label: str) -> bool:
    return len(label) == 1 and label.isascii() and label.isalpha()


def _body(label: str) -> str:
    # Between words a space, an underscore and a hyphen are one: "not entailment" is not_entailment.
    parts = JOINT.split(unicodedata.normalize("NFC", label).strip())
    words = r"[\s_-]+".join(r"\s+".join(map(re.escape, part.split())) for part in parts)
    first, last = label.strip()[0], label.strip()[-1]
    before = r"(?<!\w)(?<!\w-)" if _has_boundary(first) else ""
    after = r"(?!\w)(?!-\w)" if _has_boundary(last) else ""
    if first.isdigit():
        before += r"(?<!\d[.,])(?<!-)"
    if last.isdigit():
        after += r"(?![.,]\d)"
    return before + words + after


def _has_boundary(char: str) -> bool:
    return (char.isalnum() or char == "_") and UNSPACED_CHAR.match(char) is None

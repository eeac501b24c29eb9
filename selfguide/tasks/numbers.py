"""The number that a text gives as its answer, exactly: no rounding, so 1/2 is neither 12 nor 2."""

import re
from decimal import Decimal
from fractions import Fraction

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"  # thousands grouped by commas or not
# A sign (a hyphen or a minus, not the hyphen of 3-4), a currency, then a whole number and a
# fraction (2 1/2), a fraction (1/2, but not a date), or a number with an exponent of three digits.
NUMBER = re.compile(
    rf"""(?P<sign>(?<!\w)[-+\u2212])?[$€£¥]?
    (?:(?P<whole>\d+)[ ](?=\d+/\d+(?![\d/]|\.\d)))?
    (?P<top>{_PLAIN})
    (?:(?<!/\d)(?<!/\d\d)/(?P<bottom>\d+)(?![\d/]|\.\d)|[eE](?P<exponent>[-+]?\d{{1,3}})(?!\d))?""",
    re.VERBOSE,
)
LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")
MARK = re.compile(r"####[ \t]*(?=[-+\u2212]?[$€£¥]?[.]?\d)")


def last_number(text: str) -> Fraction | None:
    """The number after the first `####` that stands right before one, else the last number; None without any.

    The first, as GSM8K's own evaluation: a model that runs on may solve another problem. After a
    `####` without a number only what follows it counts: a number of the calculation is no answer.
    """
    text = LATEX_FRACTION.sub(r"\1/\2", text)
    marked = MARK.search(text)
    if marked is not None:
        found = NUMBER.match(text, marked.end())
        return None if found is None else _value(found)
    numbers = list(NUMBER.finditer(text.rpartition("####")[2]))
    return _value(numbers[-1]) if numbers else None


def same_number(left: Fraction, right: Fraction) -> bool:
    """Whole numbers must be equal; others may differ by a millionth of the larger, at most by 0.001."""
    if left.denominator == right.denominator == 1:
        return left == right
    allowed = min(max(abs(left), abs(right)) / 10**6, Fraction(1, 1000))
    return abs(left - right) <= allowed


def number_text(number: Fraction) -> str:
    """A number as text: whole ones exactly, others to six digits (1/3 and 0.333333 are one)."""
    whole = Decimal(number.numerator)
    return str(whole) if number.denominator == 1 else f"{whole / Decimal(number.denominator):.6g}"


def _value(match: re.Match[str]) -> Fraction | None:
    number = Fraction(Decimal(match["top"].replace(",", "")))
    if match["bottom"]:
        bottom = Fraction(Decimal(match["bottom"]))
        if bottom == 0:
            return None
        number /= bottom
    if match["exponent"]:
        number *= Fraction(10) ** int(match["exponent"])
    number += Fraction(Decimal(match["whole"] or "0"))
    return -number if match["sign"] in ("-", "\u2212") else number

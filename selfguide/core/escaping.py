"""Text that a model or a file wrote, made harmless for where it goes: one function for each medium.

HTML is markupsafe's: `html(text)`, and the autoescaping of the pages' templates.
"""

import re

from markupsafe import escape as html

__all__ = ["csv_cell", "html", "latex", "markdown_cell", "terminal"]

# C0 and C1 controls but tab and newline, line separators, the marks that reorder a line (bidi), and halves of a
# surrogate pair, which no file or terminal can be sent.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# GitHub and TensorBoard read HTML inside Markdown: no tag, comment or entity may begin.
MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")
LATEX = str.maketrans({
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "\n": " ", "\t": " ",
    "<": "$<$", ">": "$>$",
    "−": "$-$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$^\dagger$", "∅": r"$\emptyset$",
    "‡": r"$^\ddagger$", "≠": r"$\neq$", "“": "``", "”": "''",
})  # fmt: skip


def terminal(text: str) -> str:
    """Control and bidi characters shown as `\\x1b` or `\\u202e`: no escape sequence reaches the terminal."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def markdown_cell(text: str) -> str:
    """One line of plain text that stays in its cell."""
    text = MARKUP.sub(lambda found: "&lt;" if found[0] == "<" else "&amp;", terminal(text))
    return " ".join(text.replace("|", "\\|").split())


def latex(text: str) -> str:
    """Plain text on one line; symbols as LaTeX sets them, control characters left out."""
    return CONTROLS.sub("", text).translate(LATEX)


def csv_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula begins with an apostrophe; all else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

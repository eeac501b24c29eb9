"""Text that tries to be more than text, in each medium; what is harmless stays as it is."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from selfguide.config.command import fail
from selfguide.core.console import Terminal
from selfguide.core.escaping import csv_cell, html, latex, markdown_cell, terminal
from selfguide.core.tables import Sheet, to_csv, to_latex, to_markdown

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"
HOSTILE = [CLIPBOARD, "half \ud800", "\x1b[2J", "\u202egnp.exe", "a\rb", "\x9b31m", "line\u2028two"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_reaches_a_terminal(text: str) -> None:
    stream = io.StringIO()
    out = Terminal(Console(file=stream, force_terminal=True, color_system=None, width=200))
    out.say(text)
    out.table(text, ("a", "b"), [(text, text)])
    out.drops("dropped", {text: 1}, 1)
    with out.bar(text, 1, "texts") as bar:
        bar.advance(1, last=text)
    said = stream.getvalue().replace("\x1b[?25l", "").replace("\x1b[?25h", "").replace("\x1b[2K", "")
    assert text not in said
    assert not any(mark in said for mark in ("\x1b]", "\x1b[2J", "\u202e", "\x9b", "\u2028"))


def test_an_error_says_what_a_file_holds_without_obeying_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(f"bad task name {CLIPBOARD!s}\u202e")
    said = capsys.readouterr().err
    assert said.startswith("error: bad task name \\x1b]52") and "\x1b" not in said and "\u202e" not in said


def test_an_error_that_quotes_a_book_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(f"task.name: {'x' * 100_000} is too long; allowed: a name")
    said = capsys.readouterr().err
    assert len(said) < 2100 and said.startswith("error: task.name: xx") and said.endswith("allowed: a name\n")


@given(st.text())
def test_plain_text_stays_and_all_else_is_visible(text: str) -> None:
    shown = terminal(text)
    assert terminal(shown) == shown
    if text.isprintable():
        assert shown == text
    assert "\x1b" not in shown and "\r" not in shown


@settings(deadline=None)  # the first call imports pandas
@given(st.text())
def test_a_cell_is_one_line(text: str) -> None:
    assert "\n" not in markdown_cell(text) and "\n" not in latex(text)
    lines = to_markdown(Sheet("", ["a", "b"], [[text, "x"]])).splitlines()
    assert len(lines) == 3
    assert lines[2].replace("\\|", "").count("|") == 3


def test_markup_in_markdown() -> None:
    assert markdown_cell("<img onerror=x> & <0.001 &lt; a|b") == r"&lt;img onerror=x> & <0.001 &amp;lt; a\|b"
    assert html("<b>") == "&lt;b&gt;"


def test_latex_specials() -> None:
    assert latex("a_b & 5% \\ −\n↑ <0.1 {$#}~^") == (
        r"a\_b \& 5\% \textbackslash{} $-$ $\uparrow$ $<$0.1 \{\$\#\}\textasciitilde{}\textasciicircum{}"
    )
    title = to_latex(Sheet("one\n\\input{/etc/passwd}", ["a"], [["b"]]))
    assert title.splitlines()[0] == r"% one \textbackslash{}input\{/etc/passwd\}"


def test_a_formula_in_csv_is_text_and_figures_stay() -> None:
    rows = [{"a": "=1+1", "b": -0.5}, {"a": "@x", "b": None}, {"a": "-", "c": True}]
    read = list(csv.DictReader(io.StringIO(to_csv(("a", "b", "c"), rows))))
    assert [row["a"] for row in read] == ["'=1+1", "'@x", "'-"]
    assert [row["b"] for row in read] == ["-0.5", "", ""] and read[2]["c"] == "True"
    assert csv_cell("a=b") == "a=b" and csv_cell(3) == 3
    whole = to_csv(("n",), [{"n": 3}, {}])
    assert whole.splitlines()[1] == "3"

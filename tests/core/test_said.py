"""What a run says: one live region on a terminal, plain lines in a pipe, all of it in run.log."""

import io
import logging
import re
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.runlog import logged_to

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING|ERROR)\s+", re.MULTILINE)


def speak(terminal: Terminal) -> None:
    with terminal.live():
        terminal.say("few-shot ICL: 0.5")
        with terminal.bar("new inputs", 4, "rounds") as bar:
            bar.advance(4, proposed=40, accepted=31, what="x" * 90)
        terminal.drops("new inputs", {"duplicate": 9}, 31)
    terminal.table("the end", ("", "score"), [("selfguide", "61.0")])
    terminal.say("a sentence of many words " * 6)


def on_terminal(width: int, **options: bool) -> tuple[Terminal, io.StringIO]:
    said = io.StringIO()
    return Terminal(Console(file=said, force_terminal=True, width=width, highlight=False, **options)), said


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_keeps_the_summary_alone(width: int) -> None:
    terminal, said = on_terminal(width)
    speak(terminal)
    # The region is drawn over and over and erased at the end; what stays comes after the last erasure.
    stays = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.getvalue().split("\x1b[2K")[-1])
    assert "the end" in stays and "61.0" in stays and "few-shot ICL" not in stays
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.getvalue())
    assert max(len(line) for part in shown.split("\n") for line in part.split("\r")) <= width


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, said = on_terminal(80)
    speak(terminal)
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", said.getvalue())


def test_a_pipe_gets_plain_whole_lines() -> None:
    said = io.StringIO()
    speak(Terminal(Console(file=said, highlight=False)))
    assert "\x1b" not in said.getvalue()
    lines = said.getvalue().splitlines()
    assert lines[0] == "few-shot ICL: 0.5" and lines[-1] == "a sentence of many words " * 6
    assert any(line.startswith("new inputs: 4/4 rounds") and "done in" in line for line in lines)


@pytest.mark.parametrize("on", ["terminal", "pipe"])
def test_the_log_has_all_of_it_with_times_and_levels(on: str, tmp_path: Path) -> None:
    terminal = on_terminal(80)[0] if on == "terminal" else Terminal(Console(file=io.StringIO()))
    with pytest.raises(ZeroDivisionError), logged_to(tmp_path / "run.log"):
        speak(terminal)
        terminal.warn("few rows\nare left")
        logging.getLogger("some.library").warning("it is old")
        raise ZeroDivisionError("by zero")
    text = (tmp_path / "run.log").read_text()
    assert all(LINE.match(line) for line in text.splitlines())
    for piece in (
        "INFO    few-shot ICL: 0.5", "INFO    new inputs: 4/4 rounds", "INFO      duplicate", "INFO      selfguide",
        "WARNING few rows", "WARNING it is old", "ERROR   ZeroDivisionError: by zero", "ERROR   Traceback",
    ):  # fmt: skip
        assert piece in text, piece
    assert text.count("few-shot ICL") == 1
    terminal.say("after it")
    assert "after it" not in (tmp_path / "run.log").read_text()

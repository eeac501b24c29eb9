import io

import pytest
from rich.console import Console

from selfguide.core import console
from selfguide.core.console import Terminal


def plain() -> tuple[Terminal, io.StringIO]:
    said = io.StringIO()
    return Terminal(Console(file=said, width=60)), said


def test_a_bar_is_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PLAIN_EVERY_S", 0.0)
    terminal, said = plain()
    with terminal.bar("outputs", 10, "inputs") as bar:
        bar.resume(4)
        bar.advance(3, accepted=2)
    lines = said.getvalue().splitlines()
    assert lines[1].startswith("outputs: 7/10 inputs") and "accepted 2" in lines[1] and "eta" in lines[1]
    assert lines[-1].startswith("outputs: 7/10 inputs") and " done in " in lines[-1]
    assert "\x1b" not in said.getvalue()


def test_a_stopped_stage_says_so() -> None:
    terminal, said = plain()
    with pytest.raises(RuntimeError), terminal.bar("outputs", 10, "inputs"):
        raise RuntimeError
    assert "stopped" in said.getvalue()


def test_resumed_units_are_no_part_of_the_rate() -> None:
    terminal, said = plain()
    with terminal.bar("outputs", None, "inputs") as bar:
        bar.resume(1000)
    assert "  0.0 inputs/s" in said.getvalue()


def test_a_terminal_gets_a_bar_with_rate_and_eta() -> None:
    said = io.StringIO()
    terminal = Terminal(Console(file=said, force_terminal=True, width=100))
    with terminal.bar("outputs", 10, "inputs") as bar:
        bar.advance(5, accepted=4)
    assert "\x1b" in said.getvalue()
    assert "5/10" in said.getvalue() and "inputs/s" in said.getvalue() and "accepted 4" in said.getvalue()


def test_text_of_a_model_is_never_markup() -> None:
    terminal, said = plain()
    terminal.say("[bold]not bold[/bold] [link=x]")
    terminal.table("[red]title", ("a", "b"), [("[blue]x", "1")])
    assert "[bold]not bold[/bold] [link=x]" in said.getvalue()
    assert "[red]title" in said.getvalue() and "[blue]x" in said.getvalue()


def test_drop_table_adds_up() -> None:
    terminal, said = plain()
    terminal.drops("new inputs", {"noise": 1, "empty": 2}, 7)
    assert [line.split() for line in said.getvalue().splitlines()[2:]] == [
        ["noise", "1", "10%"],
        ["empty", "2", "20%"],
        ["kept", "7", "70%"],
    ]

"""The ledger of test openings: it only grows, and alterations show."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from selfguide.core.errors import DataError
from selfguide.search.access_log import AccessLog


def _append(path: str, count: int) -> None:
    for _ in range(count):
        AccessLog(Path(path)).append("a", "evaluation", {"lock": None})


def test_counts_by_task(tmp_path: Path) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    assert [ledger.append(task, "evaluation", {}) for task in "aab"] == [1, 2, 1]
    assert ledger.count("a") == 2


def test_another_name_does_not_restart_the_count(tmp_path: Path) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    assert ledger.append("a", "evaluation", {}) == 1, "of an earlier version: by its name"
    assert [ledger.append(task, "evaluation", {}, content) for task, content in ("ag", "bg", "bh")] == [2, 2, 1]


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    workers = [multiprocessing.get_context("spawn").Process(target=_append, args=(str(path), 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [row["count"] for row in AccessLog(path).rows()] == list(range(1, 31))


ALTERATIONS: dict[str, Callable[[list[str]], list[str]]] = {
    "change": lambda lines: [lines[0], lines[1].replace('"b"', '"x"'), lines[2]],
    "remove": lambda lines: [lines[0], lines[2]],
    "remove the last": lambda lines: lines[:2],
    "remove all": lambda lines: [],
    "change the last": lambda lines: [*lines[:2], lines[2].replace('"c"', '"x"')],
    "tear the last": lambda lines: [*lines[:2], lines[2].rstrip("\n")],
}


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_alterations_show(tmp_path: Path, alter: str) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    for task in "abc":
        ledger.append(task, "evaluation", {})
    with ledger.path.open() as file:
        lines = file.readlines()
    ledger.path.write_text("".join(ALTERATIONS[alter](lines)))
    for look in (lambda: ledger.append("d", "evaluation", {}), lambda: ledger.count("a")):
        with pytest.raises(DataError, match="was altered"):
            look()


def test_a_removed_file_shows_and_a_line_more_than_the_head_knows_does_not(tmp_path: Path) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    ledger.append("a", "evaluation", {})
    head = tmp_path / "l.jsonl.head"
    before = head.read_text()
    ledger.append("a", "evaluation", {})
    head.write_text(before)  # killed between the line and the head
    assert ledger.append("a", "evaluation", {}) == 3
    head.unlink()  # as an earlier version left it
    assert ledger.append("a", "evaluation", {}) == 4
    ledger.path.unlink()
    with pytest.raises(DataError, match="4 of 4 lines are gone"):
        ledger.append("a", "evaluation", {})


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x1e", "\r", "\n"])
def test_any_path_may_be_noted(tmp_path: Path, odd: str) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    for _ in range(2):
        ledger.append("a", "evaluation", {"run": f"runs/a{odd}b"})
    assert [row["run"] for row in ledger.rows()] == [f"runs/a{odd}b"] * 2


def test_a_torn_line_counts_for_nobody(tmp_path: Path) -> None:
    ledger = AccessLog(tmp_path / "l.jsonl")
    ledger.append("a", "evaluation", {})
    with ledger.path.open("a") as file:
        file.write('{"task": "a", "pre')
    assert ledger.append("a", "evaluation", {}) == 2
    assert ledger.count("a") == 2

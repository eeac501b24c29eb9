"""The ledger of test openings: it only grows, and alterations show."""

import multiprocessing
from pathlib import Path

import pytest

from selfguide.errors import DataError
from selfguide.search.ledger import Ledger


def _append(path: str, count: int) -> None:
    for _ in range(count):
        Ledger(Path(path)).append("a", "evaluation", {"lock": None})


def test_counts_by_task(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl")
    assert [ledger.append(task, "evaluation", {}) for task in "aab"] == [1, 2, 1]
    assert ledger.count("a") == 2


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    workers = [multiprocessing.get_context("spawn").Process(target=_append, args=(str(path), 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [row["count"] for row in Ledger(path).rows()] == list(range(1, 31))


@pytest.mark.parametrize("alter", ["change", "remove"])
def test_alterations_show(tmp_path: Path, alter: str) -> None:
    ledger = Ledger(tmp_path / "l.jsonl")
    for task in "abc":
        ledger.append(task, "evaluation", {})
    lines = ledger.path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"b"', '"x"') if alter == "change" else ""
    ledger.path.write_text("".join(lines))
    with pytest.raises(DataError, match="was altered"):
        ledger.append("d", "evaluation", {})


def test_a_torn_line_counts_for_nobody(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append("a", "evaluation", {})
    with ledger.path.open("a") as file:
        file.write('{"task": "a", "pre')
    assert ledger.append("a", "evaluation", {}) == 2
    assert ledger.count("a") == 2

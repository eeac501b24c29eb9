"""The logs of test openings: they only grow, alterations show, and what one loses the other puts back."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from selfguide.core.errors import DataError
from selfguide.search.access_log import AccessLog, note


def opening(*paths: Path, task: str = "a", content: str = "g") -> int:
    return note(paths, task, content, {"lock": None}).openings


def _append(path: str, user: str, count: int) -> None:
    for _ in range(count):
        opening(Path(path), Path(user))


def test_counts_by_content_whatever_the_name(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    AccessLog(path).add({"task": "a", "content": None})  # of an earlier version: by its name
    assert [opening(path, task=task, content=content) for task, content in ("ag", "bg", "bh")] == [2, 2, 1]


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    user = tmp_path / "u.jsonl"
    stores = [tmp_path / "a" / "l.jsonl", tmp_path / "a" / "l.jsonl", tmp_path / "b" / "l.jsonl"]
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_append, args=(str(path), str(user), 10)) for path in stores]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [row["count"] for row in AccessLog(user).rows()] == list(range(1, 31))
    assert [len(list(AccessLog(path).rows())) for path in stores[1:]] == [20, 10]


def test_another_store_does_not_restart_the_count(tmp_path: Path) -> None:
    user = tmp_path / "u.jsonl"
    assert [opening(tmp_path / store / "l.jsonl", user) for store in "aab"] == [1, 2, 3]
    assert opening(tmp_path / "a" / "l.jsonl", tmp_path / "another user.jsonl") == 3, "what the store knows counts, too"


@pytest.mark.parametrize("which", [0, 1], ids=["the store's", "the user's"])
@pytest.mark.parametrize("left", [0, 1, 2, None])
def test_a_log_that_was_cut_or_deleted_is_put_back_and_told(
    tmp_path: Path, which: int, left: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    logs = (tmp_path / "store" / "l.jsonl", tmp_path / "u.jsonl")
    for _ in range(3):
        opening(*logs)
    lines = logs[which].read_text().splitlines(keepends=True)
    Path(f"{logs[which]}.head").unlink()
    logs[which].unlink() if left is None else logs[which].write_text("".join(lines[:left]))
    gone = 3 - (left or 0)
    assert note(logs, "a", "g", {}) == (4, {str(logs[which]): gone})
    assert f"{logs[which]}: {gone} of its lines were missing" in caplog.text
    assert note(logs, "a", "g", {}) == (5, {str(logs[which]): gone}), "later results say so, too"
    ids = [sorted(row["id"] for row in AccessLog(path).rows()) for path in logs]
    assert ids[0] == ids[1] and len(ids[0]) == 5


def test_a_users_log_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    logs = (tmp_path / "l.jsonl", tmp_path / "file" / "u.jsonl")
    assert [opening(*logs), opening(*logs)] == [1, 2]
    assert "counted only beside the store" in caplog.text


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
    path = tmp_path / "l.jsonl"
    for task in "abc":
        opening(path, task=task)
    with path.open() as file:
        lines = file.readlines()
    path.write_text("".join(ALTERATIONS[alter](lines)))
    for look in (lambda: opening(path), lambda: list(AccessLog(path).rows())):
        with pytest.raises(DataError, match="was altered"):
            look()


def test_a_removed_file_shows_and_a_line_more_than_the_head_knows_does_not(tmp_path: Path) -> None:
    path, head = tmp_path / "l.jsonl", tmp_path / "l.jsonl.head"
    opening(path)
    before = head.read_text()
    opening(path)
    head.write_text(before)  # killed between the line and the head
    assert opening(path) == 3
    head.unlink()  # as an earlier version left it
    assert opening(path) == 4
    path.unlink()
    with pytest.raises(DataError, match="4 of 4 lines are gone"):
        opening(path)


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x1e", "\r", "\n"])
def test_any_path_may_be_noted(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "l.jsonl"
    for _ in range(2):
        note([path], "a", "g", {"run": f"runs/a{odd}b"})
    assert [row["run"] for row in AccessLog(path).rows()] == [f"runs/a{odd}b"] * 2


def test_a_torn_line_counts_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    opening(path)
    with path.open("a") as file:
        file.write('{"task": "a", "pre')
    assert opening(path) == 2
    assert len(list(AccessLog(path).rows())) == 2

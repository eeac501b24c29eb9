"""The logs of test openings: they only grow, alterations show, and what one loses the other puts back."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from selfguide.core.errors import DataError
from selfguide.core.types import Instance
from selfguide.search.access_log import AccessLog, Noted, note, user_log
from selfguide.tasks.identity import Identity, sample_of


def opening(*paths: Path, task: str = "a", content: str = "g") -> int:
    return note(paths, task, Identity(content), {"lock": None}).openings


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
    assert note(logs, "a", Identity("g"), {}) == (4, {str(logs[which]): gone}, 0)
    assert f"{logs[which]}: {gone} of its lines were missing" in caplog.text
    assert note(logs, "a", Identity("g"), {}) == (5, {str(logs[which]): gone}, 0), "later results say so, too"
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
        note([path], "a", Identity("g"), {"run": f"runs/a{odd}b"})
    assert [row["run"] for row in AccessLog(path).rows()] == [f"runs/a{odd}b"] * 2


def test_a_torn_line_counts_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    opening(path)
    with path.open("a") as file:
        file.write('{"task": "a", "pre')
    assert opening(path) == 2
    assert len(list(AccessLog(path).rows())) == 2


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Noted]:
    """Opens the gold of these inputs and answers, beside a store and in the user's folder."""
    monkeypatch.setenv("SELFGUIDE_CACHE", str(tmp_path / "user"))

    def one(rows: dict[str, str], task: str = "mine", store: str = "a") -> Noted:
        gold = Identity(str(hash(frozenset(rows.items()))), sample=sample_of(instances(rows)))
        return note([tmp_path / store / "l.jsonl", user_log(task, gold)], task, gold, {})

    return one


def instances(rows: dict[str, str]) -> list[Instance]:
    return [Instance(str(number), text, (answer,)) for number, (text, answer) in enumerate(rows.items())]


ROWS = {f"Is {number} even?": "yes" if number % 3 else "no" for number in range(60)}
EDITS: dict[str, dict[str, str]] = {
    "an answer": {**ROWS, "Is 5 even?": "No."},
    "an input": {text.replace("Is 5 ", "Is five "): answer for text, answer in ROWS.items()},
    "a row less": dict(list(ROWS.items())[1:]),
    "half of the rows": dict(list(ROWS.items())[::2]),
    "as many new rows": {**ROWS, **{f"Is {number} odd?": "no" for number in range(60)}},
    "another order": dict(sorted(ROWS.items(), reverse=True)),
    "spaces": {f"{text} ": answer for text, answer in ROWS.items()},
    "all answers": {text: answer.upper() for text, answer in ROWS.items()},
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_gold_is_the_same_gold(edit: str, opened: Callable[..., Noted]) -> None:
    assert opened(ROWS).openings == 1
    assert opened(EDITS[edit]) == (2, {}, 0)
    assert opened(EDITS[edit], store="b") == (3, {}, 0), "another store does not restart the count, either"
    assert opened(ROWS, store="b").openings == 4
    if edit != "all answers":
        assert opened(EDITS[edit], task="other").openings == 5, "nor does a name"


def test_gold_that_is_edited_again_and_again_is_followed(opened: Callable[..., Noted]) -> None:
    texts = list(ROWS)
    for step in range(7):
        rows = {(f"new {text}" if index < 10 * step else text): ROWS[text] for index, text in enumerate(texts)}
        assert opened(rows, store="ab"[step % 2]).openings == step + 1
    assert not {f"new {text}" for text in texts} - set(rows), "no row is left of the first"


def test_other_instances_under_the_same_name_are_said_and_other_tasks_on_the_same_inputs_are_not_counted(
    opened: Callable[..., Noted],
) -> None:
    opened(ROWS)
    other = {f"Name {number}.": "x" for number in range(50)}
    assert opened(other) == (1, {}, 1)
    assert opened(other) == (2, {}, 1), "later results say so, too"
    answered_otherwise = dict.fromkeys(ROWS, "odd")
    assert opened(answered_otherwise, task="another") == (1, {}, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_small_gold_is_followed_while_half_of_it_is_left(size: int, opened: Callable[..., Noted]) -> None:
    rows = dict(list(ROWS.items())[:size])
    opened(rows)
    kept = dict(list(rows.items())[: (size + 1) // 2])
    assert opened({**kept, "new": "x"} if size > 1 else kept).openings == 2

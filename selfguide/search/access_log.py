"""Every opening of a test split, counted: an append-only file beside the store, and one in the user's cache folder.

Each line holds the hash of the line before it, and a second file how many lines there are and the hash of
the last: a line that was removed or changed shows, the last ones too. A file that was deleted or cut with its head
shows in the other: what it lost is put back and said. It is no seal: who forges all of them is not found out.
"""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from selfguide.core.errors import DataError
from selfguide.core.files import json_line, write_text
from selfguide.core.paths import user_cache
from selfguide.tasks.identity import Identity, alike

log = logging.getLogger(__name__)
START = "0" * 16
LONGEST_LINE = 1 << 16
MOVE = " (moved away with its .head, it is put back from the other log, and results say so)"


class Head(NamedTuple):
    """How many lines were written, and the hash of the last of them."""

    lines: int
    hash: str


class Noted(NamedTuple):
    """`openings`: of this gold so far. `put_back`: lines that were ever gone from a log, by its path.

    `others`: openings under the task's name whose instances were others, and which count no more.
    """

    openings: int
    put_back: dict[str, int]
    others: int = 0


def note(paths: Sequence[Path], task: str, gold: Identity, details: Mapping[str, Any]) -> Noted:
    """Write one opening of the gold into all of these logs. Raises DataError if one of them was altered.

    Gold of which some instances were edited, added or left out is the same. What one has lost and another still has
    is put back. A log that cannot be written is said and left out, unless it is the first.
    """
    with ExitStack() as locked:
        logs = [each for index, path in enumerate(paths) if (each := _opened(path, locked, required=index == 0))]
        every = {each.path: list(each.rows()) for each in logs}
        same, others = _sorted_out([row for lines in every.values() for row in lines], task, gold)
        rows = {path: [row for row in lines if _id(row) in same] for path, lines in every.items()}
        known = {_id(row): row for each in rows.values() for row in each}
        for each in logs:
            name, has = str(each.path.absolute()), {_id(row) for row in rows[each.path]}
            lost = [row for key, row in known.items() if key not in has and name in row.get("logs", ())]
            if lost:
                log.warning("%s: %d of its lines were missing and are restored; it was cut or deleted", name, len(lost))
            for row in lost:
                rows[each.path].append(each.add({**row, "put_back": _now()}))
        row = {
            "id": uuid.uuid4().hex[:16],
            "time": _now(),
            "task": task,
            "content": gold.content,
            "sample": list(gold.sample),
            "count": len(known) + 1,
            "logs": [str(each.path.absolute()) for each in logs],
            **details,
        }
        for each in logs:
            each.add(row)
        put_back = {str(path): sum("put_back" in row for row in each) for path, each in rows.items()}
        return Noted(len(known) + 1, {path: count for path, count in put_back.items() if count}, len(others))


class AccessLog:
    """The file `path`, and `path`.head; safe for many processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def locked(self) -> FileLock:
        """Hold this while rows are read and added."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock")

    def add(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Append a row, as it is returned. Raises DataError if the file was altered."""
        self._cut_torn_line()
        rows = list(self.rows())
        row = {**content, "previous": _digest(rows[-1]) if rows else START}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json_line(row))
            file.flush()
            os.fsync(file.fileno())
        # After the line: a writer killed in between leaves one line more than the head knows, which may be.
        write_text(self._head_file, json_line(Head(len(rows) + 1, _digest(row))._asdict()))
        return row

    def rows(self) -> Iterator[dict[str, Any]]:
        """All whole lines, checked. Raises DataError if the file was altered."""
        # First: the file only grows, so what is read after the head has at least its lines.
        head = self._head()
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        # Not splitlines: a path may hold characters that it takes for the end of a line.
        lines = text.split("\n")[:-1]
        expected = START
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                intact = row["previous"] == expected
                expected = _digest(row)
            except (ValueError, KeyError, TypeError):
                intact = False
            if not intact or (number == head.lines and expected != head.hash):
                raise DataError(f"{self.path}: line {number} is not what was written; the log was altered{MOVE}")
            yield row
        if len(lines) < head.lines:
            raise DataError(
                f"{self.path}: {head.lines - len(lines)} of {head.lines} lines are gone; the log was altered{MOVE}"
            )

    @property
    def _head_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")

    def _head(self) -> Head:
        try:
            content = json.loads(self._head_file.read_text(encoding="utf-8"))
            return Head(int(content["lines"]), str(content["hash"]))
        except FileNotFoundError:
            # A new log, or one of a version that kept no head: the next line gives it one.
            return Head(0, START)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._head_file}: cannot be read; the log was altered{MOVE}") from error

    def _cut_torn_line(self) -> None:
        # What a killed writer left counts for nobody: its run ended before it saw the split.
        if self.path.exists():
            content = self.path.read_bytes()
            with self.path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)


def user_log(task: str, gold: Identity) -> Path:
    """Where the openings of this gold are kept for all stores of a user: with those before it was edited, if it was."""
    folder = user_cache() / "test_openings"
    exact = folder / f"{gold.content}.jsonl"
    if not exact.exists() and folder.is_dir():
        for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True):
            if alike(gold.sample, _sample(last := _last_row(path)), last.get("task") == task):
                return path
    return exact


def _last_row(path: Path) -> dict[str, Any]:
    """The last whole line; empty where it is not one of ours, which `AccessLog.rows` says when it is read."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONGEST_LINE))
        lines = file.read().rpartition(b"\n")[0].split(b"\n")
    with suppress(ValueError):
        row = json.loads(lines[-1])
        return row if isinstance(row, dict) else {}
    return {}


def _opened(path: Path, locked: ExitStack, *, required: bool) -> AccessLog | None:
    opened = AccessLog(path)
    try:
        locked.enter_context(opened.locked())
    except OSError as error:
        if required:
            raise
        log.warning("%s: cannot be written (%s); this opening is counted only beside the store", path, error.strerror)
        return None
    return opened


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _id(row: Mapping[str, Any]) -> str:
    # Lines of an earlier version have none.
    return str(row.get("id") or _digest(row))


def _sorted_out(rows: Sequence[dict[str, Any]], task: str, gold: Identity) -> tuple[set[str], set[str]]:
    """The ids of the openings of this gold, however it was edited in between, and those of others under its name."""
    contents, sample = set[str | None]({gold.content}), set(gold.sample)
    same, others = set[str](), set[str]()
    # The newest first: gold that was edited again and again is like the one before.
    for row in sorted(rows, key=lambda row: str(row.get("time", "")), reverse=True):
        content, theirs, named = row.get("content"), _sample(row), row["task"] == task
        # Lines of an earlier version know the name alone.
        if named if content is None else content in contents or alike(sample, theirs, named):
            same.add(_id(row))
            contents.add(content)
            sample.update(theirs)
        elif named:
            others.add(_id(row))
    return same, others


def _sample(row: Mapping[str, Any]) -> list[str]:
    sample = row.get("sample")
    return list(map(str, sample)) if isinstance(sample, list) else []


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, ensure_ascii=False).encode()).hexdigest()[:16]

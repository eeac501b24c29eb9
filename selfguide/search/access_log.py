"""Every opening of a test split, counted: an append-only file beside the store.

Each line holds the hash of the line before it, and a second file how many lines there are and the hash of
the last: a line that was removed or changed shows, the last ones too. It is no seal: who forges both is not found out.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from selfguide.core.errors import DataError
from selfguide.core.files import write_text

START = "0" * 16


class Head(NamedTuple):
    """How many lines were written, and the hash of the last of them."""

    lines: int
    hash: str


class AccessLog:
    """The file `path`, and `path`.head; safe for many processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, task: str, purpose: str, details: Mapping[str, Any], content: str | None = None) -> int:
        """Note one opening; returns how many there are now of this gold `content` (None: of the task of this name).
        Raises DataError if the file was altered."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            self._cut_torn_line()
            rows = list(self.rows())
            count: int = 1 + sum(_same(row, task, content) for row in rows)
            row = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "task": task,
                "content": content,
                "purpose": purpose,
                "count": count,
                **details,
                "previous": _digest(rows[-1]) if rows else START,
            }
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # After the line: a writer killed in between leaves one line more than the head knows, which may be.
            write_text(self._head_file, json.dumps(Head(len(rows) + 1, _digest(row))._asdict()) + "\n")
            return count

    def count(self, task: str) -> int:
        """How often this task's test split was opened so far."""
        return sum(row["task"] == task for row in self.rows())

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
                raise DataError(f"{self.path}: line {number} is not what was written; the ledger was altered")
            yield row
        if len(lines) < head.lines:
            raise DataError(
                f"{self.path}: {head.lines - len(lines)} of {head.lines} lines are gone; the ledger was altered"
            )

    @property
    def _head_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.head")

    def _head(self) -> Head:
        try:
            content = json.loads(self._head_file.read_text(encoding="utf-8"))
            return Head(int(content["lines"]), str(content["hash"]))
        except FileNotFoundError:
            # A new ledger, or one of a version that kept no head: the next line gives it one.
            return Head(0, START)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._head_file}: cannot be read; the ledger was altered") from error

    def _cut_torn_line(self) -> None:
        # What a killed writer left counts for nobody: its run ended before it saw the split.
        if self.path.exists():
            content = self.path.read_bytes()
            with self.path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)


def _same(row: Mapping[str, Any], task: str, content: str | None) -> bool:
    # Lines of an earlier version know the name alone.
    known = row.get("content")
    return bool(row["task"] == task) if known is None or content is None else bool(known == content)


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, ensure_ascii=False).encode()).hexdigest()[:16]

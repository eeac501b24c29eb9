"""Every opening of a test split, counted: an append-only file beside the store.

Each line holds the hash of the line before it, so that a removed or changed line shows.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from selfguide.errors import DataError

START = "0" * 16


class Ledger:
    """The file `path`; safe for many processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, task: str, purpose: str, details: Mapping[str, Any]) -> int:
        """Note one opening; returns how many there are of this task now. Raises DataError if the file was altered."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            self._cut_torn_line()
            rows = list(self.rows())
            count: int = 1 + sum(row["task"] == task for row in rows)
            row = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "task": task,
                "purpose": purpose,
                "count": count,
                **details,
                "previous": _digest(rows[-1]) if rows else START,
            }
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            return count

    def count(self, task: str) -> int:
        """Openings of this task's test split so far."""
        return sum(row["task"] == task for row in self.rows())

    def rows(self) -> Iterator[dict[str, Any]]:
        """All whole lines, checked."""
        if not self.path.exists():
            return
        whole, _, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
        expected = START
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                intact = row["previous"] == expected
            except (ValueError, KeyError, TypeError):
                intact = False
            if not intact:
                raise DataError(f"{self.path}: line {number} does not follow from the last; the ledger was altered")
            expected = _digest(row)
            yield row

    def _cut_torn_line(self) -> None:
        # What a killed writer left counts for nobody: its run ended before it saw the split.
        if self.path.exists():
            content = self.path.read_bytes()
            with self.path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, ensure_ascii=False).encode()).hexdigest()[:16]

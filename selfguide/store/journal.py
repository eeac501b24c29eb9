"""The journal of a stage in progress: finished units, appended one by one."""

import json
import os
from pathlib import Path
from typing import Any

from selfguide.core.files import json_line


class Journal:
    """An append-only JSONL file of finished units; a torn last line is cut off on opening.

    A unit is what a stage computes between two writes (a round, a batch). `rows` are those that
    were durable when it was opened; `append` returns after the unit is on disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Any] = []
        keep = 0
        if path.exists():
            content = path.read_bytes()
            for line in content.splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self.rows.append(json.loads(line))
                keep += len(line)
            if keep < len(content):
                with path.open("r+b") as file:
                    file.truncate(keep)
        self._file = path.open("ab")

    def append(self, row: Any) -> None:
        self._file.write(json_line(row).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows.append(row)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def journal_tokens(journal: Journal) -> dict[str, int]:
    """Model calls of a stage and the tokens they took, over all the runs that worked on it."""
    counts = [row["tokens"] for row in journal.rows]
    kinds = ("prompt", "generated", "calls")
    # A journal that an earlier version began has no calls: then they are not known, and not given.
    known = min((len(count) for count in counts), default=len(kinds))
    return {kind: sum(count[index] for count in counts) for index, kind in enumerate(kinds[:known])}

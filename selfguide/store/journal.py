"""The journal of a stage in progress: finished units, appended one by one."""

import itertools
import json
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.core.console import log
from selfguide.core.errors import DataError
from selfguide.core.escaping import terminal
from selfguide.core.files import json_line

_CHECKSUM = re.compile(rb'"crc32": "([0-9a-f]{8})"\}')
_CHECKSUM_BYTES = len('"crc32": "00000000"}')


@dataclass(frozen=True, slots=True)
class JournalContent:
    """The rows of a journal up to its first fault, if it has one, and where the next one goes.

    `size` is the bytes of the sound lines, `checksum` that of the last of them. A torn last line is no fault: the
    writer was killed.
    """

    rows: list[Any]
    size: int
    checksum: int
    fault: str | None


class Journal:
    """An append-only JSONL file of finished units; a torn last line is cut off on opening.

    A unit is what a stage computes between two writes (a round, a batch). `rows` are those that
    were durable when it was opened; `append` returns after the unit is on disk.

    Each line carries a CRC-32 that continues that of the line before, from `title` on: which stage's
    journal it is, as the first line says, too. What is not sound is kept beside the file under a hidden name, said
    in one line, and the journal goes on behind the last sound row. Raises `DataError` for a symbolic link.
    """

    def __init__(self, path: Path, title: str = "") -> None:
        self.path = path
        if path.is_symlink() or (path.exists() and not path.is_file()):
            kind = "a symbolic link" if path.is_symlink() else "not a file"
            raise DataError(f"store.root: the journal {path} is {kind}; remove it")
        content = read_journal(path, title)
        self.rows = content.rows
        self._checksum = content.checksum
        if content.fault is not None:
            aside = _copy_aside(path)
            log.warning(
                "%s",
                terminal(f"{path}: {content.fault}; {len(self.rows)} units are kept, the rest is in {aside.name}"),
            )
        if path.exists() and content.size < path.stat().st_size:
            os.truncate(path, content.size)
        self._file = path.open("ab")
        if title and content.size == 0:
            self._write({"journal": title})

    def append(self, row: Mapping[str, Any]) -> None:
        self._write(row)
        self.rows.append(row)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        body = json_line(row).removesuffix("}\n") + (", " if row else "")
        self._checksum = zlib.crc32(body.encode(), self._checksum)
        self._file.write(f'{body}"crc32": "{self._checksum:08x}"}}\n'.encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def journal_title(work: Path, name: str) -> str:
    """What a journal in a stage's folder is called in its first line: stage, key and file."""
    return f"{work.parent.name}/{work.name.removesuffix('.partial')}/{name}"


def read_journal(path: Path, title: str) -> JournalContent:
    """What of a journal is sound; nothing where there is no file."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    rows: list[Any] = []
    size, checksum = 0, zlib.crc32(title.encode())
    for number, line in enumerate(lines):
        row = _sound(line, checksum)
        if row is None:
            fault = f"line {number + 1} is not what was written" if number else _first_fault(line, title)
            return JournalContent(rows, size, checksum, fault)
        if number or not title:
            rows.append(row)
        size += len(line) + 1
        checksum = int(line[-_CHECKSUM_BYTES + 10 : -2], 16)
    return JournalContent(rows, size, checksum, None)


def _sound(line: bytes, checksum: int) -> dict[str, Any] | None:
    """The row of a line that continues `checksum`."""
    body, end = line[:-_CHECKSUM_BYTES], _CHECKSUM.fullmatch(line[-_CHECKSUM_BYTES:])
    if end is None or zlib.crc32(body, checksum) != int(end[1], 16):
        return None
    row: dict[str, Any] = json.loads(line)
    del row["crc32"]
    return row


def _first_fault(line: bytes, title: str) -> str:
    try:
        found = json.loads(line)["journal"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it is damaged or of an earlier version"
    return "its first line is damaged" if found == title else f"it is the journal of another stage, {found}"


def _copy_aside(path: Path) -> Path:
    names = (path.with_name(f".{path.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    shutil.copyfile(path, aside)
    return aside


def journal_tokens(journal: Journal) -> dict[str, int]:
    """Model calls of a stage and the tokens they took, over all the runs that worked on it."""
    counts = [row["tokens"] for row in journal.rows]
    kinds = ("prompt", "generated", "calls")
    # A journal that an earlier version began has no calls: then they are not known, and not given.
    known = min((len(count) for count in counts), default=len(kinds))
    return {kind: sum(count[index] for count in counts) for index, kind in enumerate(kinds[:known])}

"""Which stages a run folder needs, noted in `<root>/roots/` as the run asks for them.

A stage stays as long as a run folder that used it is there, also of a run that was killed; while a run works it holds
its note's lock. Noting a stage and deleting one exclude each other.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from selfguide.core.files import json_text, write_text

ROOTS = "roots"
PATIENCE_S = 5.0  # somebody may be looking whether the lock is free


@dataclass(frozen=True, slots=True)
class Root:
    """A run folder and the stages that it used, as `kind/key`. `working`: the run goes on."""

    note: Path
    folder: Path
    stages: frozenset[str]
    working: bool


class Usage:
    """The note of one run, made with its first stage; `close` says that the run is over."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder.absolute()
        name = hashlib.sha256(str(self._folder).encode("utf-8", "surrogateescape")).hexdigest()[:20]
        self.note = root / ROOTS / f"{name}.jsonl"
        self._lock = FileLock(_lock_of(self.note), timeout=PATIENCE_S)
        self._known: set[str] = set()

    def add(self, stage: Path) -> None:
        """This folder of the store is used from now on."""
        name = f"{stage.parent.name}/{stage.name}"
        if name in self._known:
            return
        with deleting(self._root):
            if not self._known:
                self._open()
            # A line that a kill cut short stays alone.
            with self.note.open("a", encoding="utf-8") as file:
                file.write(f"\n{json_text(name)}")
        self._known.add(name)

    def others(self) -> frozenset[str]:
        """The stages of other runs that are working; to be asked within `deleting`."""
        return frozenset(
            stage for root in read_roots(self._root, but=self.note) if root.working for stage in root.stages
        )

    def close(self) -> None:
        """The run is over."""
        self._lock.release()

    def _open(self) -> None:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        # A second process in the same run folder: the first one's lock says that they work.
        with suppress(Timeout):
            self._lock.acquire()
        if not self.note.exists():
            write_text(self.note, json_text(str(self._folder)))


def deleting(root: Path) -> FileLock:
    """Held while a stage is noted as used, and while stages are judged and taken away."""
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / ".usage.lock")


def read_roots(root: Path, but: Path | None = None) -> Iterator[Root]:
    """Every note of the store."""
    for note in sorted((root / ROOTS).glob("*.jsonl")):
        if note == but:
            continue
        lines = [line for line in note.read_text(encoding="utf-8").splitlines() if line]
        texts = [text for line in lines if (text := _text(line)) is not None]
        if texts:
            yield Root(note, Path(texts[0]), frozenset(texts[1:]), held(_lock_of(note)))


def _lock_of(note: Path) -> Path:
    return note.with_suffix(".lock")


def _text(line: str) -> str | None:
    try:
        return str(json.loads(line))
    except ValueError:
        return None


def held(lock: Path) -> bool:
    """Whether some process holds it."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True

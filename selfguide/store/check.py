"""Going through a whole store: is every finished stage, and every journal, what was written?"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfguide.store.cache import KEY_DIGITS, fingerprint
from selfguide.store.journal import journal_title, read_journal
from selfguide.store.manifest import Damaged, verify

KEY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Checked:
    """A part of the store and its state: whole, damaged (why: `damage`), in progress or set aside."""

    path: Path
    state: str
    damage: str = ""


def check_store(root: Path) -> Iterator[Checked]:
    """Every stage of the store; every file is read. Locks, and what the store did not make, are passed over."""
    for kind in sorted(root.iterdir()):
        if kind.is_symlink():
            yield Checked(kind, "damaged", "it is a symbolic link")
        elif kind.is_dir():
            for path in sorted(kind.iterdir()):
                yield from _check_entry(path)


def _check_entry(path: Path) -> Iterator[Checked]:
    key, dot, suffix = path.name.partition(".")
    if path.is_symlink():
        yield Checked(path, "damaged", "it is a symbolic link")
    elif suffix.startswith("damaged-"):
        yield Checked(path, "set aside")
    elif dot + suffix == PARTIAL:
        yield Checked(path, "in progress")
        yield from _check_journals(path)
    elif KEY.fullmatch(key) and not suffix:
        try:
            verify(path, fresh=True)
            if fingerprint(json.loads((path / "spec.json").read_text(encoding="utf-8"))) != path.name:
                raise Damaged("spec.json is that of another stage")
        except (Damaged, OSError, ValueError) as damage:
            yield Checked(path, "damaged", str(damage))
        else:
            yield Checked(path, "whole")


def _check_journals(work: Path) -> Iterator[Checked]:
    for path in sorted(work.glob("journal*.jsonl")):
        if path.is_symlink() or not path.is_file():
            yield Checked(path, "damaged", "it is not a plain file")
        elif fault := read_journal(path, journal_title(work, path.name)).fault:
            yield Checked(path, "damaged", fault)

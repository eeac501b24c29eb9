"""What of a store nobody needs any more: stages that no run folder used, no frozen setting names and nobody pinned.

A run folder counts wherever it is: it noted its stages itself (`selfguide.store.usage`). Run folders of earlier
versions, and frozen settings, are looked for in the folders that are given.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfguide.store.check import KEY, PARTIAL
from selfguide.store.manifest import Damaged, read_manifest
from selfguide.store.usage import Root, deleting, held, read_roots

PIN, GONE = ".pin", ".gone"


@dataclass(frozen=True, slots=True)
class Garbage:
    """A file or folder of the store that may go, its size, and why."""

    path: Path
    bytes: int
    why: str


def needed(root: Path, folders: Iterable[Path], notes: Iterable[Root]) -> set[str]:
    """`kind/key` of every stage that must stay: used by a run, named by a frozen setting in `folders`, or pinned."""
    stages: set[str] = set()
    for note in notes:
        if note.working or note.folder.exists():
            stages |= note.stages
    for folder in folders:
        for file in folder.rglob("result.json"):
            stages |= set(dict(_content(file).get("keys") or {}).values())
        for file in folder.rglob("lock.yaml"):
            stages |= set(_content(file).get("stages") or ())
    return stages | {f"{pin.parent.name}/{pin.name.removesuffix(PIN)}" for pin in root.glob(f"*/*{PIN}")}


def garbage(root: Path, folders: Iterable[Path]) -> Iterator[Garbage]:
    """What `collect` would delete; asked without the lock it is a forecast."""
    notes = list(read_roots(root))
    stages = needed(root, folders, notes)
    for path in sorted(root.glob("*/*")):
        key, dot, suffix = path.name.partition(".")
        if path.is_symlink() or path.parent.is_symlink() or not path.is_dir() or not KEY.fullmatch(key):
            continue
        used = f"{path.parent.name}/{key}" in stages
        if dot + suffix == GONE:
            yield Garbage(path, size(path), "left by an earlier deletion")
        elif held(path.with_name(f"{key}.lock")):
            continue  # being computed
        elif not used and dot + suffix in ("", PARTIAL):
            yield Garbage(path, size(path), "no run folder uses it" + (", and it is unfinished" if suffix else ""))
        elif not suffix:
            yield from _released(path)
    for note in notes:
        if not note.working and not note.folder.exists():
            yield Garbage(note.note, note.note.stat().st_size, f"{note.folder} is gone")


def collect(root: Path, folders: Iterable[Path]) -> Iterator[Garbage]:
    """Delete it, each part in one step; what is yielded is gone."""
    with deleting(root):
        found = list(garbage(root, folders))
        moved = [(each, _out_of_sight(each.path)) for each in found]
    for each, path in moved:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        yield each


def size(path: Path) -> int:
    """Bytes that deleting it frees: files that another folder shares do not count."""
    files = (file.lstat() for file in ([path] if path.is_file() else path.rglob("*")) if not file.is_dir())
    return sum(status.st_size for status in files if status.st_nlink == 1)


def _out_of_sight(path: Path) -> Path:
    """A stage is found whole or not at all."""
    if not path.is_dir() or path.name.endswith(GONE):
        return path
    gone = path.with_name(path.name.partition(".")[0] + GONE)
    if gone.exists():
        shutil.rmtree(gone)
    return path.rename(gone)


def _released(stage: Path) -> Iterator[Garbage]:
    """Files that `store.keep` let go of and a kill left there."""
    try:
        released = read_manifest(stage).released
    except Damaged:
        return
    for name in released:
        if (file := stage / name).is_file() and not file.is_symlink():
            yield Garbage(file, size(file), "released by store.keep")


def _content(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def pin(stage: Path, *, pinned: bool) -> None:
    """Keep a stage whatever uses it, or no longer."""
    file = stage.with_name(stage.name + PIN)
    if pinned:
        file.touch()
    else:
        file.unlink(missing_ok=True)

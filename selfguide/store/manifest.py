"""`manifest.json`: what a finished stage holds, to the byte, so that damage is seen when it is read."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.core.files import write_json
from selfguide.core.hashing import file_hash

NAME = "manifest.json"


class Damaged(Exception):
    """A finished stage is not what was written; the text says what differs, in one line."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stage's folder and key, the seconds it took, what `build` said of it, and its files."""

    stage: str
    key: str
    seconds: float
    info: Mapping[str, Any]
    files: Mapping[str, tuple[int, str | None]]
    """Size in bytes and SHA-256 of each; stages of earlier versions have no hash."""
    released: Mapping[str, str]
    """SHA-256 of those that were deleted to free the disk (`Store.release`) and can be made again."""


def write_manifest(work: Path, final: Path, seconds: float, info: Mapping[str, Any]) -> None:
    """Describe the files in `work`, which becomes `final`. Raises `Damaged` for a symbolic link among them."""
    files = {
        name: {"size": path.stat().st_size, "sha256": file_hash(path, final=final / name)}
        for name, path in stage_files(work)
    }
    content = {
        "stage": final.parent.name,
        "key": final.name,
        "seconds": round(seconds, 3),
        "info": dict(info),
        "files": files,
    }
    write_json(work / NAME, {**content, "sha256": _checksum(content)})


def mark_released(folder: Path, names: Collection[str]) -> None:
    """Say of these files, and of no others, that they were deleted on purpose."""
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    content = {name: value for name, value in content.items() if name not in ("sha256", "released")}
    if names:
        content["released"] = sorted(names)
    write_json(folder / NAME, {**content, "sha256": _checksum(content)})


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, its own checksum compared. Raises `Damaged`."""
    path = folder / NAME
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Damaged(f"{NAME} is not a plain file")
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop("sha256", None)
        files = content["files"]
        # Earlier versions wrote sizes alone.
        if checksum is None and all(type(size) is int for size in files.values()):
            entries = {name: (size, None) for name, size in files.items()}
        elif checksum == _checksum(content):
            entries = {name: (entry["size"], entry["sha256"]) for name, entry in files.items()}
        else:
            raise Damaged(f"{NAME} differs from its checksum")
        released = {name: str(entries[name][1]) for name in content.get("released", ())}
        seconds, info = float(content["seconds"]), dict(content["info"])
        manifest = Manifest(content["stage"], content["key"], seconds, info, entries, released)
    except FileNotFoundError:
        raise Damaged(f"{NAME} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged(f"{NAME} cannot be read") from None
    if (manifest.stage, manifest.key) != (folder.parent.name, folder.name):
        raise Damaged(f"{NAME} is that of another stage, {manifest.stage}/{manifest.key}")
    return manifest


def verify(folder: Path, *, fresh: bool = False) -> Manifest:
    """The manifest of a finished stage, every file compared with it. Raises `Damaged`.

    `fresh` reads large files even where their hash is remembered.
    """
    manifest = read_manifest(folder)
    files = dict(stage_files(folder))
    for name in sorted(manifest.files.keys() | files.keys()):
        if _hidden(name) or name in manifest.released:  # manifests of earlier versions may list hidden ones
            continue
        if name not in files:
            raise Damaged(f"{name} is missing")
        if name not in manifest.files:
            raise Damaged(f"{name} is not in the manifest")
        _compare(name, files[name], manifest.files[name], fresh)
    return manifest


def stage_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of each file that counts, sorted: not the manifest, not hidden ones.

    Raises `Damaged` for anything that is neither a folder nor a plain file, symbolic links above all.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise Damaged(f"{name} is a symbolic link")
        if _hidden(name) or name == NAME or stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise Damaged(f"{name} is not a plain file")
        yield name, path


def _compare(name: str, path: Path, entry: tuple[int, str | None], fresh: bool) -> None:
    size, sha256 = entry
    try:
        if path.stat().st_size != size:
            raise Damaged(f"{name} has {path.stat().st_size} bytes, not {size}")
        # A remembered hash may be wrong itself: damage is said of what was read.
        if sha256 not in (None, file_hash(path, fresh=fresh)) and sha256 != file_hash(path, fresh=True):
            raise Damaged(f"{name} has another content")
    except FileNotFoundError:
        raise Damaged(f"{name} is missing") from None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise Damaged(f"{name} cannot be read: {os.strerror(errno.EIO)}") from None


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _checksum(content: Any) -> str:
    # Through JSON once, so that keys and numbers are what a reader finds.
    plain = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

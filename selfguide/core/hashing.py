"""SHA-256 of files; those of large ones are remembered in the user's cache folder."""

import hashlib
import os
import re
import time
from pathlib import Path

HASH_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfguide" / "hashes"
LARGE = 1 << 20
"""Bytes from which on a file's hash is remembered by path, size and modification time."""
TICK_NS = 50_000_000
_HASH = re.compile(r"[0-9a-f]{64}")


def file_hash(path: Path, *, fresh: bool = False, final: Path | None = None) -> str:
    """SHA-256 of a file, hex. `fresh` reads it in any case; `final` is the path it is about to be renamed to."""
    status = path.stat()
    if status.st_size < LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"{(final or path).resolve()}\x1f{status.st_size}\x1f{status.st_mtime_ns}"
    known = HASH_CACHE / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    if not fresh and (remembered := _remembered(known)):
        return remembered
    with path.open("rb") as file:
        value = hashlib.file_digest(file, "sha256").hexdigest()
    # A change within a tick of the file system's clock leaves the time as it is.
    if time.time_ns() - status.st_mtime_ns > TICK_NS:
        _remember(known, value)
    return value


def _remembered(known: Path) -> str | None:
    try:
        value = known.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return value if _HASH.fullmatch(value) else None


def _remember(known: Path, value: str) -> None:
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        temporary = known.with_name(f"{known.name}.{os.getpid()}")
        temporary.write_text(value)
        temporary.replace(known)
    except OSError:
        pass  # a read-only home costs time only

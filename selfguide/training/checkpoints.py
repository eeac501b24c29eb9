"""Checkpoints that survive kill -9: one is used only if every file that it was marked with is still there."""

import json
import shutil
from pathlib import Path

from selfguide.core.files import sync, write_json

MARK = "complete"
"""The file that marks a checkpoint as whole: {file: bytes}. It is written last and removed first."""


def newest_whole(folder: Path) -> Path | None:
    """The latest complete `checkpoint-N`; torn ones are deleted on the way."""
    whole: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        if _is_whole(path):
            whole.append((int(path.name.split("-")[1]), path))
        else:
            remove(path)
    return max(whole)[1] if whole else None


def mark_whole(folder: Path, step: int) -> None:
    """Flush `checkpoint-{step}` to disk, mark it, and only then delete the older ones."""
    current = folder / f"checkpoint-{step}"
    sizes = {}
    for path in sorted(current.rglob("*")):
        if path.is_file():
            sync(path)
            sizes[str(path.relative_to(current))] = path.stat().st_size
    write_json(current / MARK, sizes)
    remove_all(folder, but=current)


def remove_all(folder: Path, but: Path | None = None) -> None:
    """Delete the checkpoints in `folder`."""
    for path in folder.glob("checkpoint-*"):
        if path != but:
            remove(path)


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint, its mark first: half-deleted it must not look whole."""
    (checkpoint / MARK).unlink(missing_ok=True)
    shutil.rmtree(checkpoint, ignore_errors=True)


def publish(temporary: Path, final: Path) -> None:
    """Make a finished folder appear under its name in one step."""
    for path in sorted(temporary.rglob("*")):
        sync(path)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync(final.parent)


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / MARK).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):  # no mark, an empty one of an earlier version, a file that is gone
        return False

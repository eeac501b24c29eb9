"""Checkpoints that survive kill -9: one is used only if it was marked as whole."""

import shutil
from pathlib import Path

from selfguide.core.files import sync

MARK = "complete"


def newest_whole(folder: Path) -> Path | None:
    """The latest complete `checkpoint-N`; torn ones are deleted on the way."""
    whole: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        if (path / MARK).exists():
            whole.append((int(path.name.split("-")[1]), path))
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole)[1] if whole else None


def mark_whole(folder: Path, step: int) -> None:
    """Flush `checkpoint-{step}` to disk, mark it, and only then delete the older ones."""
    current = folder / f"checkpoint-{step}"
    for path in sorted(current.rglob("*")):
        if path.is_file():
            sync(path)
    (current / MARK).touch()
    sync(current)
    for path in folder.glob("checkpoint-*"):
        if path != current:
            # Unmarked first: a half-deleted checkpoint must not look whole.
            (path / MARK).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def publish(temporary: Path, final: Path) -> None:
    """Make a finished folder appear under its name in one step."""
    for path in sorted(temporary.rglob("*")):
        sync(path)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync(final.parent)

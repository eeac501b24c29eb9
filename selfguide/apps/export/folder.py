"""Folders that an export makes: written whole, and replaced only where all that is in them is an earlier export's."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selfguide.core.errors import DataError
from selfguide.core.files import write_json

MARKER = ".selfguide_export.json"
"""Beside the exported folders: {folder: [its files]}."""


@contextmanager
def exported(folder: Path, run: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `folder` once it is full.

    Raises `DataError`, and touches nothing, if `folder` is (in) the run's, or holds what no export wrote.
    """
    _check_replaceable(folder, run)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        yield made
        # The marker comes first: a kill in between leaves a folder that may be replaced.
        files = {*_files(made), *(_files(folder) if folder.is_dir() else ())}
        write_json(folder.parent / MARKER, {**_marked(folder.parent), folder.name: sorted(files)})
        if folder.is_dir():
            shutil.rmtree(folder)
        made.rename(folder)


def copy_regular_files(source: Path, target: Path) -> None:
    """Copy a folder's files; links and devices are left out, and said."""
    for name in _files(source):
        file = source / name
        if file.is_symlink() or not file.is_file():
            print(f"{file}: not a regular file, left out", file=sys.stderr)
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / name)


def _check_replaceable(folder: Path, run: Path) -> None:
    target, source = folder.resolve(), run.resolve()
    if target.parent == source or source == target or target in source.parents:
        raise DataError(f"to: {folder.parent} is the run itself; choose another folder")
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise DataError(f"to: {folder} was not written by an earlier export; choose another folder")
    strange = sorted({*_files(folder)} - {*_marked(folder.parent).get(folder.name, ())})
    if strange:
        raise DataError(f"to: {folder} holds {strange[0]!r}, which no export wrote; choose an empty or new folder")


def _marked(target: Path) -> dict[str, list[str]]:
    """What earlier exports wrote into `target`; nothing if that is not known."""
    try:
        content = json.loads((target / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    listed = content if isinstance(content, dict) else {}
    return {name: list(map(str, files)) for name, files in listed.items() if isinstance(files, list)}


def _files(folder: Path) -> Iterator[str]:
    """Paths below `folder` of all that is not a folder; links are not followed."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield str((Path(parent) / name).relative_to(folder))

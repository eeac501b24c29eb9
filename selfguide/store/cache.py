"""The store: `<root>/<stage>/<key>/`, written once, found by every later run.

A stage's key is the hash of its spec: the configuration that decides its content, the keys of the
stages it reads, the model's identity and a version number of the code. What cannot change the
content (device, batch size, paths) stays out of the spec. Work in progress is in `<key>.partial`, and its owner goes
on from what is in it. `manifest.json` is written last, with the hash of every file: a finished stage that is not what
it says is set aside as `<key>.damaged-1` (never deleted) and computed anew, or refused. No symbolic link is followed.
"""

import hashlib
import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from selfguide.core.console import log
from selfguide.core.errors import DataError
from selfguide.core.escaping import terminal
from selfguide.core.files import canonical_json, sync, write_json
from selfguide.core.hashing import file_hash
from selfguide.core.paths import expanded
from selfguide.store.manifest import Damaged, mark_released, read_manifest, stage_files, verify, write_manifest
from selfguide.store.usage import Usage

KEY_DIGITS = 20


@dataclass(frozen=True, slots=True)
class StoredStage:
    """A finished stage: its files, what `build` said of them, and whether this run computed it (`hit`: it was there).

    `kind` is the folder of the store that it is in, `key` its content address, `seconds` the time of all runs that
    worked on it. `released` are the SHA-256 of files that were deleted to free the disk.
    """

    kind: str
    key: str
    path: Path
    hit: bool
    seconds: float
    info: Mapping[str, Any]
    released: Mapping[str, str] = field(default_factory=dict)


def fingerprint(value: Any) -> str:
    """The content address of a JSON value, 20 hex digits: a stage's key is that of its spec."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_DIGITS]


class Store:
    """Finished stages under `root`; safe for several processes at once.

    `damaged` says what becomes of a finished stage that is not what was written: "recompute" or "error".
    """

    def __init__(self, root: Path | str, lock_timeout_s: float = 86400.0, damaged: str = "recompute") -> None:
        self.root = expanded(root, "store.root").absolute()
        self.lock_timeout_s = lock_timeout_s
        self.damaged = damaged
        self.usage: Usage | None = None

    def used_by(self, folder: Path) -> None:
        """From now on the stages asked for are kept for this run folder (`selfguide.store.usage`)."""
        self.usage = Usage(self.root, folder)

    def folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def find(self, kind: str, spec: Mapping[str, Any]) -> StoredStage | None:
        """The finished stage with this spec, if there is a sound one; writes nothing.

        Raises `DataError` for a symbolic link, and for a damaged stage with `damaged="error"`.
        """
        try:
            return self._verified(self.folder(kind, fingerprint(spec)))
        except Damaged:
            return None

    def run(self, kind: str, spec: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any] | None]) -> StoredStage:
        """The stage with this spec: found, or made by `build(work_folder)`.

        `build` may find files of a killed predecessor in its folder and goes on from them; what it
        returns is kept in the manifest as `info`. Another process with the same spec waits.
        """
        final = self.folder(kind, fingerprint(spec))
        if self.usage is not None:
            self.usage.add(final)
        if stored := self.find(kind, spec):
            return stored
        with self._locked(final):
            try:
                if stored := self._verified(final):
                    return stored
            except Damaged as damage:
                _set_aside(final, damage)
            return self._commit(final, *self._built(final, spec, build))

    def release(self, stage: Path, names: Iterable[str]) -> None:
        """Delete these files of a finished stage, which stays what it is: `restore` makes them again."""
        with self._locked(stage):
            manifest = read_manifest(stage)
            known = {name for name in names if manifest.files[name][1] is not None}
            if known - manifest.released.keys():
                mark_released(stage, known | manifest.released.keys())
            for name in known:
                (stage / name).unlink(missing_ok=True)

    def restore(
        self, kind: str, spec: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any] | None]
    ) -> StoredStage:
        """The stage with all its files: what was released is built again.

        Raises `DataError` where the build does not repeat to the byte; the stage is the new one then.
        """
        final = self.folder(kind, fingerprint(spec))
        with self._locked(final):
            released = read_manifest(final).released
            if released:
                info, seconds = self._built(final, spec, build)
                work = _partial(final)
                if any(released[name] != file_hash(work / name, fresh=True) for name in released):
                    _set_aside(final, Damaged("computing it again gave another result, on this machine at least"))
                    self._commit(final, info, seconds)
                    raise DataError(
                        f"store.root: {final} was computed anew for files that had been released, and came out "
                        "otherwise; start the run again: it continues with the new ones"
                    )
                for name in released:
                    (work / name).replace(final / name)
                mark_released(final, ())
                shutil.rmtree(work)
            stored = self._verified(final)
        assert stored is not None
        return stored

    @contextmanager
    def _locked(self, final: Path) -> Iterator[None]:
        """Another process that works on the same stage waits."""
        lock = final.with_name(f"{final.name}.lock")
        final.parent.mkdir(parents=True, exist_ok=True)
        _refuse_link(lock)
        try:
            with FileLock(lock, timeout=self.lock_timeout_s):
                yield
        except Timeout:
            raise DataError(
                f"store.root: another run has been computing stage {final.parent.name}/{final.name} for "
                f"{self.lock_timeout_s:.0f} s; wait for it, or raise store.lock_timeout_s"
            ) from None

    def _built(
        self, final: Path, spec: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any] | None]
    ) -> tuple[dict[str, Any], float]:
        """What `build` returns, its files in the stage's workspace, and the seconds of all that worked on it."""
        work = _partial(final)
        _open_workspace(work)
        write_json(work / "spec.json", spec)
        before = _seconds_so_far(work)
        start = time.monotonic()
        try:
            info = dict(build(work) or {})
        finally:
            seconds = before + time.monotonic() - start
            (work / ".seconds").write_text(f"{seconds:.3f}")
        return info, seconds

    def _verified(self, final: Path) -> StoredStage | None:
        """The stage in this folder. Raises `Damaged`, or with `damaged="error"` `DataError`."""
        _refuse_link(final.parent)
        _refuse_link(final)
        if not final.exists():
            return None
        try:
            manifest = verify(final)
        except Damaged as damage:
            if self.damaged == "error":
                raise DataError(
                    f"store.damaged: {final} is damaged: {damage}; remove it, or set store.damaged=recompute"
                ) from None
            raise
        return StoredStage(
            manifest.stage, manifest.key, final, True, manifest.seconds, manifest.info, manifest.released
        )

    def _commit(self, final: Path, info: dict[str, Any], seconds: float) -> StoredStage:
        work = _partial(final)
        (work / ".seconds").unlink(missing_ok=True)
        try:
            for _, path in stage_files(work):
                sync(path)
            # The manifest is the last file of the folder, and the rename publishes it whole.
            write_manifest(work, final, seconds, info)
        except Damaged as damage:
            raise DataError(f"store.root: a stage may hold only plain files: in {work} {damage}") from None
        work.replace(final)
        sync(final.parent)
        return StoredStage(final.parent.name, final.name, final, False, seconds, info)


def _partial(final: Path) -> Path:
    return final.with_name(f"{final.name}.partial")


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise DataError(f"store.root: {path} is a symbolic link, which the store does not follow; remove it")


def _open_workspace(work: Path) -> None:
    """Make the folder, or go on in it where everything in it is its own."""
    _refuse_link(work)
    if work.exists() and not work.is_dir():
        raise DataError(f"store.root: {work} is not a folder; remove it")
    work.mkdir(exist_ok=True)
    for path in work.rglob("*"):
        _refuse_link(path)


def _set_aside(final: Path, damage: Damaged) -> None:
    names = (final.with_name(f"{final.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists() and not name.is_symlink())
    try:
        final.rename(aside)
        sync(final.parent)
    except OSError as error:
        raise DataError(
            f"store.root: {final} is damaged: {damage}; it cannot be set aside: {error.strerror}"
        ) from error
    log.warning("%s", terminal(f"{final} is damaged: {damage}; set aside as {aside.name} and computed again"))


def _seconds_so_far(work: Path) -> float:
    try:
        seconds = float((work / ".seconds").read_text())
    except (OSError, ValueError):
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0

"""The store: `<root>/<stage>/<key>/`, written once, found by every later run.

A stage's key is the hash of its spec: the configuration that decides its content, the keys of the
stages it reads, the model's identity and a version number of the code. What cannot change the
content (device, batch size, paths) stays out of the spec. `manifest.json` is written last: a folder
without one is work in progress, and its owner goes on from what is in it.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from selfguide.core.errors import DataError
from selfguide.core.files import canonical_json, sync, write_json
from selfguide.core.paths import expanded

KEY_DIGITS = 20


@dataclass(frozen=True, slots=True)
class StoredStage:
    """A finished stage: its files, what `build` said of them, and whether this run computed it (`hit`: it was there).

    `kind` is the folder of the store that it is in, `key` its content address, `seconds` the time of all runs that
    worked on it.
    """

    kind: str
    key: str
    path: Path
    hit: bool
    seconds: float
    info: Mapping[str, Any]


def fingerprint(value: Any) -> str:
    """The content address of a JSON value, 20 hex digits: a stage's key is that of its spec."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_DIGITS]


class Store:
    """Finished stages under `root`; safe for several processes at once."""

    def __init__(self, root: Path | str, lock_timeout_s: float = 86400.0) -> None:
        self.root = expanded(root, "store.root").absolute()
        self.lock_timeout_s = lock_timeout_s

    def folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key

    def find(self, kind: str, spec: Mapping[str, Any]) -> StoredStage | None:
        """The finished stage with this spec, if there is one."""
        key = fingerprint(spec)
        manifest = self.folder(kind, key) / "manifest.json"
        if not manifest.exists():
            return None
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return StoredStage(kind, key, manifest.parent, True, content["seconds"], content["info"])

    def run(self, kind: str, spec: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any] | None]) -> StoredStage:
        """The stage with this spec: found, or made by `build(work_folder)`.

        `build` may find files of a killed predecessor in its folder and goes on from them; what it
        returns is kept in the manifest as `info`. Another process with the same spec waits.
        """
        if stored := self.find(kind, spec):
            return stored
        key = fingerprint(spec)
        final, work = self.folder(kind, key), self.root / kind / f"{key}.partial"
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / kind / f"{key}.lock", timeout=self.lock_timeout_s):
                if stored := self.find(kind, spec):
                    return stored
                work.mkdir(exist_ok=True)
                write_json(work / "spec.json", spec)
                before = _seconds_so_far(work)
                start = time.monotonic()
                try:
                    info = dict(build(work) or {})
                finally:
                    seconds = before + time.monotonic() - start
                    (work / ".seconds").write_text(f"{seconds:.3f}")
                return self._commit(work, final, info, seconds)
        except Timeout:
            raise DataError(
                f"store.root: another run has been computing stage {kind}/{key} for {self.lock_timeout_s:.0f} s; "
                "wait for it, or raise store.lock_timeout_s"
            ) from None

    def _commit(self, work: Path, final: Path, info: dict[str, Any], seconds: float) -> StoredStage:
        (work / ".seconds").unlink(missing_ok=True)
        files = _listing(work)
        for file in files:
            sync(work / file)
        # The manifest is the last file of the folder, and the rename publishes it whole.
        kind, key = final.parent.name, final.name
        write_json(
            work / "manifest.json",
            {"stage": kind, "key": key, "seconds": round(seconds, 3), "info": info, "files": files},
        )
        work.replace(final)
        sync(final.parent)
        return StoredStage(kind, key, final, False, seconds, info)


def _seconds_so_far(work: Path) -> float:
    try:
        return float((work / ".seconds").read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def _listing(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "manifest.json"
    }

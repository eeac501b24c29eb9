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
from selfguide.store.journal import Journal

KEY_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Stage:
    """A finished stage: its files, and whether this run computed it."""

    name: str
    key: str
    path: Path
    hit: bool
    seconds: float
    info: Mapping[str, Any]


def key_of(spec: Mapping[str, Any]) -> str:
    """The content address of a stage spec, 20 hex digits."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:KEY_DIGITS]


class Store:
    """Finished stages under `root`; safe for several processes at once."""

    def __init__(self, root: Path | str, lock_timeout_s: float = 86400.0) -> None:
        self.root = Path(root).expanduser().absolute()
        self.lock_timeout_s = lock_timeout_s

    def folder(self, name: str, key: str) -> Path:
        return self.root / name / key

    def find(self, name: str, spec: Mapping[str, Any]) -> Stage | None:
        """The finished stage with this spec, if there is one."""
        key = key_of(spec)
        manifest = self.folder(name, key) / "manifest.json"
        if not manifest.exists():
            return None
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return Stage(name, key, manifest.parent, True, content["seconds"], content["info"])

    def run(self, name: str, spec: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any] | None]) -> Stage:
        """The stage with this spec: found, or made by `build(work_folder)`.

        `build` may find files of a killed predecessor in its folder and goes on from them; what it
        returns is kept in the manifest as `info`. Another process with the same spec waits.
        """
        if found := self.find(name, spec):
            return found
        key = key_of(spec)
        final, work = self.folder(name, key), self.root / name / f"{key}.partial"
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / name / f"{key}.lock", timeout=self.lock_timeout_s):
                if found := self.find(name, spec):
                    return found
                work.mkdir(exist_ok=True)
                write_json(work / "spec.json", spec)
                before = _seconds_so_far(work)
                start = time.monotonic()
                try:
                    info = dict(build(work) or {})
                finally:
                    seconds = before + time.monotonic() - start
                    (work / ".seconds").write_text(f"{seconds:.3f}")
                return self._commit(name, key, work, final, info, seconds)
        except Timeout:
            raise DataError(
                f"store.root: another run has been computing stage {name}/{key} for {self.lock_timeout_s:.0f} s; "
                "wait for it, or raise store.lock_timeout_s"
            ) from None

    def _commit(self, name: str, key: str, work: Path, final: Path, info: dict[str, Any], seconds: float) -> Stage:
        (work / ".seconds").unlink(missing_ok=True)
        files = _listing(work)
        for file in files:
            sync(work / file)
        # The manifest is the last file of the folder, and the rename publishes it whole.
        write_json(
            work / "manifest.json",
            {"stage": name, "key": key, "seconds": round(seconds, 3), "info": info, "files": files},
        )
        work.replace(final)
        sync(final.parent)
        return Stage(name, key, final, False, seconds, info)


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


def journal_tokens(journal: Journal) -> dict[str, int]:
    """Model calls of a stage and the tokens they took, over all the runs that worked on it."""
    counts = [row["tokens"] for row in journal.rows]
    kinds = ("prompt", "generated", "calls")
    # A journal that an earlier version began has no calls: then they are not known, and not given.
    known = min((len(count) for count in counts), default=len(kinds))
    return {kind: sum(count[place] for count in counts) for place, kind in enumerate(kinds[:known])}


def fingerprint(value: Any) -> str:
    """Hash of any JSON value, for a stage spec."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:20]

"""Task files of the public Natural Instructions repository, in a local cache.

The files of the paper's tasks are pinned by SHA-256. Other tasks are found through the
repository's own list (`README.md` beside the task files) and are not pinned.
"""

import hashlib
import json
import logging
import re
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from selfguide.config.schema import DataConfig
from selfguide.core.errors import ConfigError, DataError
from selfguide.core.paths import expanded
from selfguide.tasks.raw import read_text
from selfguide.tasks.sni import short_id

log = logging.getLogger(__name__)
MANIFEST = Path(__file__).parent / "sni_manifest.json"
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
LISTED = re.compile(r"`(task\d+_[\w.\-]+)`")
"""Plain file names alone: what the list says decides where a file is written."""
RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}


class _PassingError(Exception):
    """A failure that may pass."""


@cache
def manifest() -> dict[str, tuple[str, str | None]]:
    """Task id -> file name and SHA-256 (None: not known)."""
    entries = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return {task: (entry["file"], entry["sha256"]) for task, entry in entries.items()}


def task_file(task_id: str, data: DataConfig) -> Path:
    """The path of the task's file in the cache, downloaded if need be. Raises DataError.

    Safe to call from several processes: the first one downloads, the others wait for it.
    """
    name, sha256 = _name_and_hash(task_id, data)
    if sha256 is None:
        log.warning("%s: its SHA-256 is not known, so the download cannot be verified", name)
    return cached(name, sha256, data)


def cached(name: str, sha256: str | None, data: DataConfig) -> Path:
    """The file `name` below `data.url`, from the cache or downloaded into it. Raises DataError."""
    target = _cache_folder(data) / name
    if _is_good(target, sha256):  # needs no lock: files appear whole
        return target
    # Longer than any download that still makes progress at its slowest is hopeless: fail clearly.
    patience = max(600.0, 4 * data.timeout_s * (data.retries + 1))
    try:
        with FileLock(f"{target}.lock", timeout=patience):
            if _is_good(target, sha256):
                return target
            if target.exists():
                log.warning("%s: the cached file is damaged and is downloaded again", target)
                target.unlink()
            url = f"{data.url.rstrip('/')}/{name}"
            log.info("downloading %s", url)
            download(url, target, sha256, data)
            return target
    except Timeout:
        raise DataError(
            f"data.cache: {target} is locked by another process; wait for it to end, or delete {target}.lock"
        ) from None
    except OSError as error:
        raise ConfigError(f"data.cache: {error.filename or target} cannot be written ({error.strerror})") from None


def download(url: str, target: Path, sha256: str | None, data: DataConfig) -> None:
    """Download `url` to `target`, which appears only when it is complete and its hash is right. Raises DataError.

    `data.timeout_s` is the longest silence of the server that is borne.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"data.url: {url} is not an http(s) address; for a local folder set data.root")
    retrying = Retrying(
        stop=stop_after_attempt(data.retries + 1),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S) + wait_random(0, FIRST_PAUSE_S),
        retry=retry_if_exception_type(_PassingError),
        before_sleep=_warn,
        reraise=True,
    )
    try:
        retrying(_download_once, url, target, sha256, data.timeout_s)
    except _PassingError as error:
        raise DataError(f"{error} (gave up after {data.retries + 1} tries)") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _warn(state: RetryCallState) -> None:
    if state.outcome is not None and state.next_action is not None:
        log.warning("%s; trying again in %.1f s", state.outcome.exception(), state.next_action.sleep)


def _download_once(url: str, target: Path, sha256: str | None, timeout_s: float) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(timeout=timeout_s, headers={"User-Agent": "selfguide"})
    try:
        pooch.retrieve(url, sha256, target.name, target.parent, downloader=downloader)
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        if status in RETRIED_STATUS:
            raise _PassingError(f"{url}: the server answered {status}") from None
        if status == 404:
            raise DataError(f"{url}: not found (404); check task.id and data.url") from None
        hint = "check data.url, or set data.root to a folder of task files"
        raise DataError(f"{url}: the server answered {status}; {hint}") from None
    except (requests.Timeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        stalled = isinstance(error, requests.Timeout) or "timed out" in str(error)
        reason = f"stalled: nothing arrived for {timeout_s:g} s" if stalled else f"failed: {error}"
        raise _PassingError(f"{url}: {reason[:300]}") from None
    except requests.RequestException as error:
        raise DataError(f"{url}: failed: {str(error)[:300]}") from None
    except ValueError:  # what pooch raises for another hash
        raise _PassingError(f"{url}: corrupt: its SHA-256 is not {sha256}") from None


def warn_if_changed(path: Path, task_id: str) -> None:
    """Warn about a user's own task file that is not the pinned one."""
    sha256 = manifest().get(short_id(task_id), ("", None))[1]
    if sha256 is not None and sha256_of(path) != sha256:
        log.warning("%s: is not the published file (SHA-256 differs); scores will not be comparable", path)


def _name_and_hash(task_id: str, data: DataConfig) -> tuple[str, str | None]:
    short, stem = short_id(task_id), task_id.removesuffix(".json")
    if short in manifest():
        name, sha256 = manifest()[short]
        if stem in (short, name.removesuffix(".json")):
            return name, sha256
    if stem != short:
        return f"{stem}.json", None
    listing = read_text(cached("README.md", None, data), "list of tasks")
    names = sorted({found for found in LISTED.findall(listing) if found.startswith(f"{short}_")})
    if not names:
        raise DataError(f"task.id: {task_id} is not in the list of tasks at {data.url}; check the number")
    if len(names) > 1:
        raise DataError(f"task.id: several tasks are called {short}; write one of: {', '.join(names)}")
    return f"{names[0]}.json", None


def _is_good(path: Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or sha256_of(path) == sha256)


def _cache_folder(data: DataConfig) -> Path:
    folder = expanded(data.cache, "data.cache")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data.cache: {folder} cannot be made ({error.strerror})") from None
    return folder

"""One file over HTTP: resumed where it stopped, verified, and put in place in one step."""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from selfguide.core.errors import DataError

log = logging.getLogger(__name__)
CHUNK = 1 << 16
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}


class _TryAgainError(Exception):
    """A failure that another try may mend."""


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    timeout_s: float,
    retries: int,
    first_pause_s: float = FIRST_PAUSE_S,
) -> None:
    """Download `url` to `target`. Raises DataError in one line.

    What has arrived is kept in `<target>.part` and asked for no second time, in this call or a
    later one. `timeout_s` is the longest silence of the server that is borne. `target` appears
    only when it is complete and its hash is right.
    """
    if urllib.parse.urlparse(url).scheme not in ("http", "https"):
        raise DataError(f"data.url: {url} is not an http(s) address; for a local folder set data.root")
    pause = first_pause_s
    for attempt in range(retries + 1):
        try:
            _fetch_once(url, target, sha256, timeout_s)
            return
        except _TryAgainError as error:
            if attempt == retries:
                raise DataError(f"{url}: {error} (gave up after {retries + 1} tries)") from None
            log.warning("%s: %s; trying again in %.1f s", url, error, pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_once(url: str, target: Path, sha256: str | None, timeout_s: float) -> None:
    part, tag = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.etag")
    known_tag = tag.read_text(encoding="utf-8") if tag.exists() else None
    start = part.stat().st_size if part.exists() else 0
    if start and known_tag is None and sha256 is None:
        start = 0  # nothing would tell a continuation of another version of the file
    headers = {"User-Agent": "selfguide"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if known_tag is not None:
            headers["If-Range"] = known_tag
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
            if response.status != 206 or not _continues(response, start):
                start = 0
            etag = response.headers.get("ETag")
            tag.write_text(etag, encoding="utf-8") if etag else tag.unlink(missing_ok=True)
            _receive(response, part, start)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer: of no use unless it is the file
            if sha256 is None or sha256_of(part) != sha256:
                _forget(part, tag)
                raise _TryAgainError("the server refused to continue the partial file") from None
        else:
            _raise_for_status(url, error.code)
    except TimeoutError:
        raise _TryAgainError(f"stalled: nothing arrived for {timeout_s:g} s") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        what = f"stalled: no answer for {timeout_s:g} s" if isinstance(reason, TimeoutError) else f"failed: {reason}"
        raise _TryAgainError(what) from None
    if sha256 is not None and (found := sha256_of(part)) != sha256:
        _forget(part, tag)
        raise _TryAgainError(f"corrupt: SHA-256 is {found[:12]}…, expected {sha256[:12]}…")
    part.replace(target)
    tag.unlink(missing_ok=True)


def _continues(response: http.client.HTTPResponse, start: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {start}-")


def _receive(response: http.client.HTTPResponse, part: Path, start: int) -> None:
    """Append the body to the part (from byte `start`), durably, and check its length."""
    announced = response.headers.get("Content-Length")
    received = 0
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        try:
            # read1: read would throw away what had arrived of a chunk when the server stalls.
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                received += len(chunk)
        finally:
            file.flush()
            os.fsync(file.fileno())
    if announced is not None and received < int(announced):
        raise _TryAgainError(f"truncated: {received} of {announced} bytes arrived")


def _raise_for_status(url: str, status: int) -> None:
    if status in RETRIED_STATUS:
        raise _TryAgainError(f"the server answered {status}")
    if status == 404:
        raise DataError(f"{url}: not found (404); check task.id and data.url")
    raise DataError(f"{url}: the server answered {status}; check data.url, or set data.root to a folder of task files")


def _forget(part: Path, tag: Path) -> None:
    part.unlink(missing_ok=True)
    tag.unlink(missing_ok=True)

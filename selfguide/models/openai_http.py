"""HTTP for `engine=openai`: retries with back-off and jitter, and errors in one line. Knows no prompts."""

import logging
import random
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from selfguide.config.schema import OpenAIEngineConfig
from selfguide.core.errors import ConfigError, EngineError, RequestError
from selfguide.models.openai_key import ApiKey

log = logging.getLogger(__name__)
RETRIED = (408, 409, 425, 429)
"""Beside every 5xx and every failure of the connection."""
REFUSED = (400, 413, 422)
"""For what is in the request."""


class Endpoint:
    """One server. `sleep` (seconds) is how it waits between tries."""

    def __init__(self, settings: OpenAIEngineConfig, sleep: Callable[[float], object] | None = None) -> None:
        import httpx

        try:
            httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise ConfigError(f"engine.base_url: is no address ({error}); allowed: http://host:port/v1") from None
        self._settings = settings
        self._key = ApiKey(settings.api_key_env)
        # Lines for each request would fill the run's log.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx.Client(
            headers=self._key.headers(),
            timeout=httpx.Timeout(settings.timeout_s, connect=min(settings.timeout_s, 30.0)),
            limits=httpx.Limits(max_connections=settings.concurrency),
        )
        self._said = threading.Event()
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._broken = False
        self._lock = threading.Lock()

    def post(self, path: str, body: Mapping[str, Any], accept: tuple[int, ...] = ()) -> Any:
        """The JSON answer (or text). `accept`: statuses beside 2xx that are no error.

        Raises `RequestError` for a refused request, `EngineError` for anything else: retries used up, or `stop`.
        """
        import httpx

        url = f"{self._settings.base_url.rstrip('/')}/{path}"
        for attempt in range(self._settings.retries + 1):
            if self._stopped.is_set():
                raise EngineError("engine=openai: stopped")
            asked = None
            try:
                response = self._client.post(url, json=body, extensions={"trace": self._note_socket})
            except httpx.RequestError as error:
                problem = f"{type(error).__name__}: {self.shown(str(error))}"
                # The request itself is wrong: it will be the next time, too.
                if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
                    raise EngineError(f"engine=openai: {url}: {problem}") from None
            else:
                if response.is_success or response.status_code in accept:
                    return _content(response)
                problem = f"HTTP {response.status_code}: {self.shown(_message(response))}"
                if response.status_code not in RETRIED and response.status_code < 500:
                    kind = RequestError if response.status_code in REFUSED else EngineError
                    raise kind(f"engine=openai: {url}: {self._hint(response.status_code)}{problem}")
                asked = _retry_after(response)
            if attempt < self._settings.retries:
                if not self._said.is_set() and not self._stopped.is_set():
                    self._said.set()
                    log.warning("engine=openai: %s; trying again (said once)", problem)
                self._sleep(self._pause(attempt, asked))
        raise EngineError(f"engine=openai: {url}: {problem} (after {self._settings.retries} retries)")

    def shown(self, said: str) -> str:
        """What the server said, as a message may quote it. No answer gets into a message but through here."""
        return self._key.masked(said)

    def stop(self) -> None:
        """No request is sent or repeated any more; those under way may end."""
        self._stopped.set()

    def cancel(self) -> None:
        """Stop, and end those under way: the server sees their connections close."""
        self.stop()
        with self._lock:
            self._broken = True
            sockets = list(self._sockets)
        for each in sockets:
            _shut(each)

    def close(self) -> None:
        """Close the connections."""
        self.stop()
        self._client.close()

    def _note_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            opened = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._sockets.add(opened)
                broken = self._broken
            if broken:
                _shut(opened)

    def _pause(self, attempt: int, asked: float | None) -> float:
        """Seconds until the next try; `asked` is what the server wants."""
        longest = self._settings.max_backoff_s
        spread = min(longest, self._settings.backoff_s * 2**attempt)
        # Jitter: many waiting requests must not come back all at once.
        if asked is None:
            return random.uniform(0, spread)
        return random.uniform(asked if asked < longest else longest / 2, min(longest, asked + spread))

    def _hint(self, status: int) -> str:
        if status in (401, 403):
            found = "is refused" if self._key else "is not set"
            return f"the key in the environment variable {self._settings.api_key_env} {found}: "
        return ""


def _shut(connection: socket.socket) -> None:
    # Closing would not wake a thread that reads; the method of TLS sockets would not leave it a whole object.
    with suppress(OSError):  # closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _content(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _message(response: Any) -> str:
    content = _content(response)
    if isinstance(content, dict):
        error = content.get("error", content)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    return str(content)


def _retry_after(response: Any) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None

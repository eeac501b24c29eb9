"""HTTP for `engine=openai`: retries with back-off and jitter, and errors in one line. Knows no prompts."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from selfguide.config.schema import OpenAIEngineConfig
from selfguide.errors import ConfigError, EngineError, RequestError

log = logging.getLogger(__name__)
RETRIED = (408, 409, 425, 429)
"""Beside every 5xx and every failure of the connection."""
REFUSED = (400, 413, 422)
"""For what is in the request."""


class Endpoint:
    """One server. The key is read from the environment, goes into one header, and is shown nowhere."""

    def __init__(self, settings: OpenAIEngineConfig, sleep: Callable[[float], object] = time.sleep) -> None:
        import httpx

        if urlsplit(settings.base_url).scheme not in ("http", "https"):
            raise ConfigError(f"engine.base_url: {settings.base_url!r} is no address; allowed: http://host:port/v1")
        if "@" in urlsplit(settings.base_url).netloc:
            raise ConfigError("engine.base_url: holds a user name or key; allowed: keys in the environment only")
        self._settings = settings
        self._key = os.environ.get(settings.api_key_env, "")
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # One line per request would fill the run's log.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(settings.timeout_s, connect=min(settings.timeout_s, 30.0)),
            limits=httpx.Limits(max_connections=settings.concurrency),
        )
        self._sleep = sleep
        self._said = threading.Event()
        self._cancelled = threading.Event()

    def post(self, path: str, body: Mapping[str, Any], accept: tuple[int, ...] = ()) -> Any:
        """The JSON answer (or text). `accept`: statuses beside 2xx that are no error.

        Raises `RequestError` for a refused request, `EngineError` for anything else, retries used up included.
        """
        import httpx

        url = f"{self._settings.base_url.rstrip('/')}/{path}"
        for attempt in range(self._settings.retries + 1):
            if self._cancelled.is_set():
                raise EngineError("engine=openai: stopped")
            wait = None
            try:
                response = self._client.post(url, json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {self._clean(str(error))}"
            else:
                if response.is_success or response.status_code in accept:
                    return _content(response)
                problem = f"HTTP {response.status_code}: {self._clean(_message(response))}"
                if response.status_code not in RETRIED and response.status_code < 500:
                    kind = RequestError if response.status_code in REFUSED else EngineError
                    raise kind(f"engine=openai: {url}: {self._hint(response.status_code)}{problem}")
                wait = _retry_after(response)
            if attempt < self._settings.retries:
                if not self._said.is_set():
                    self._said.set()
                    log.warning("engine=openai: %s; trying again (said once)", problem)
                self._sleep(self._pause(attempt) if wait is None else min(wait, self._settings.max_backoff_s))
        raise EngineError(f"engine=openai: {url}: {problem} (after {self._settings.retries} retries)")

    def cancel(self) -> None:
        """No request is sent any more: one of them failed for good."""
        self._cancelled.set()

    def resume(self) -> None:
        """Requests may be sent again."""
        self._cancelled.clear()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _pause(self, attempt: int) -> float:
        # Full jitter: many waiting requests must not come back all at once.
        return random.uniform(0, min(self._settings.max_backoff_s, self._settings.backoff_s * 2**attempt))

    def _clean(self, text: str) -> str:
        text = " ".join(text.split())[:300]
        return text.replace(self._key, "***") if self._key else text

    def _hint(self, status: int) -> str:
        if status in (401, 403):
            found = "is refused" if self._key else "is not set"
            return f"the key in the environment variable {self._settings.api_key_env} {found}: "
        return ""


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

"""HTTP for `engine=openai`: retries, deadlines, bounded replies, errors in one line. Knows no prompts."""

import asyncio
import json
import logging
import os
import random
import ssl
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from selfguide.config.serving import OpenAIEngineConfig
from selfguide.core.errors import ConfigError, EngineError, RequestError

T = TypeVar("T")
log = logging.getLogger(__name__)
RETRIED = (408, 409, 425, 429)
"""Beside every 5xx and every failure of the connection."""
REFUSED = (400, 413, 422)
"""For what is in the request."""
MAX_REPLY_BYTES = 64 * 2**20
MAX_QUOTED = 300
"""Characters of a server's words that a message quotes."""


class _PassingError(Exception):
    """A failure that may pass. `pause_s` is how long the server wants to be left alone."""

    def __init__(self, problem: str, pause_s: float | None = None) -> None:
        super().__init__(problem)
        self.pause_s = pause_s


class Endpoint:
    """One server, and the event loop that talks to it. `sleep` (seconds) is how it waits between tries.

    Raises `ConfigError` for an address or a key that no request can carry.
    """

    def __init__(self, settings: OpenAIEngineConfig, sleep: Callable[[float], Awaitable[None]] | None = None) -> None:
        try:
            httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise ConfigError(f"engine.base_url: is not an address ({error}); allowed: http://host:port/v1") from None
        self._settings = settings
        self._key = _key(settings.api_key_env)
        # Lines for each request would fill the run's log.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx.AsyncClient(
            headers={"Accept-Encoding": "gzip", **({"Authorization": f"Bearer {self._key}"} if self._key else {})},
            timeout=httpx.Timeout(settings.timeout_s, connect=min(settings.timeout_s, 30.0)),
            verify=_certificates(),
            limits=httpx.Limits(max_connections=settings.concurrency),
        )
        self._runner = asyncio.Runner()
        self._stopped = asyncio.Event()
        self._sleep = sleep or self._sleep_unless_stopped
        self._warned = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. An interrupt ends it at once; `close` then ends what it left under way."""
        return _outside_loops(lambda: self._runner.run(work))

    async def post(self, path: str, body: Mapping[str, Any], accept: tuple[int, ...] = ()) -> bytes:
        """The reply's content. `accept`: statuses beside 2xx that are no error.

        Raises `RequestError` for a refused request, `EngineError` for anything else: retries or
        `engine.deadline_s` used up, a reply of more than `MAX_REPLY_BYTES`, or `stop`.
        """
        url = f"{self._settings.base_url.rstrip('/')}/{path}"
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.retries + 1),
            wait=self._pause,
            retry=retry_if_exception_type(_PassingError),
            before_sleep=self._warn,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                return await retrying(self._post_once, url, body, accept)
        except TimeoutError:
            problem = f"no whole answer within engine.deadline_s={self._settings.deadline_s:g}"
        except _PassingError as error:
            problem = f"{error} (after {self._settings.retries} retries)"
        raise EngineError(f"engine=openai: {url}: {problem}")

    def quoted(self, text: str) -> str:
        """What a server said, as a message may quote it: without the key, in one line, not too long."""
        if self._key:
            # As it stands, as Python or JSON writes it, as an address does.
            spellings = {self._key, repr(self._key)[1:-1], json.dumps(self._key)[1:-1], quote(self._key, safe="")}
            for spelling in sorted(spellings, key=len, reverse=True):
                text = text.replace(spelling, "***")
        # Only now: a cut first could leave a part of the key.
        return " ".join(text[: 100 * MAX_QUOTED].split())[:MAX_QUOTED]

    def stop(self) -> None:
        """No request is sent or repeated any more; those under way may end."""
        self._stopped.set()

    def close(self) -> None:
        """End what is under way, and close the connections: the server sees it."""
        self.stop()
        self.run(self._client.aclose())
        _outside_loops(self._runner.close)

    async def _post_once(self, url: str, body: Mapping[str, Any], accept: tuple[int, ...]) -> bytes:
        if self._stopped.is_set():
            raise EngineError("engine=openai: stopped")
        try:
            async with self._client.stream("POST", url, json=body) as response:
                content = await self._content(url, response)
        except httpx.RequestError as error:
            problem = f"{type(error).__name__}: {self.quoted(str(error))}"
            # The request itself is wrong: it will be the next time, too.
            if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
                raise EngineError(f"engine=openai: {url}: {problem}") from None
            raise _PassingError(problem) from None
        status = response.status_code
        if response.is_success or status in accept:
            return content
        problem = f"HTTP {status}: {self.quoted(error_message(content))}"
        if status in RETRIED or status >= 500:
            raise _PassingError(problem, _retry_after(response))
        if status in (401, 403):
            state = "is refused" if self._key else "is not set"
            problem = f"the key in the environment variable {self._settings.api_key_env} {state}: {problem}"
        raise (RequestError if status in REFUSED else EngineError)(f"engine=openai: {url}: {problem}")

    async def _content(self, url: str, response: httpx.Response) -> bytes:
        content, encoding = bytearray(), response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise EngineError(f"engine=openai: {url}: the reply comes as {self.quoted(encoding)}; allowed: gzip")
        # Not by httpx, which unpacks a chunk whole, whatever it grows to.
        unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
        async for chunk in response.aiter_raw():
            try:
                content += chunk if unpacked is None else unpacked.decompress(chunk, MAX_REPLY_BYTES + 1 - len(content))
            except zlib.error as error:
                raise _PassingError(f"the reply cannot be unpacked ({error})") from None
            if len(content) > MAX_REPLY_BYTES:
                raise EngineError(f"engine=openai: {url}: the reply is longer than {MAX_REPLY_BYTES >> 20} MiB")
        if unpacked is not None and not unpacked.eof:
            raise _PassingError("the reply ends too early")
        return bytes(content)

    async def _sleep_unless_stopped(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _pause(self, state: RetryCallState) -> float:
        """Seconds until the next try, drawn at random: many waiting requests must not come back all at once."""
        error = state.outcome.exception() if state.outcome else None
        wanted = error.pause_s if isinstance(error, _PassingError) else None
        longest = self._settings.max_backoff_s
        spread = min(longest, self._settings.backoff_s * 2 ** (state.attempt_number - 1))
        if wanted is None:
            return random.uniform(0, spread)
        return random.uniform(wanted if wanted < longest else longest / 2, min(longest, wanted + spread))

    def _warn(self, state: RetryCallState) -> None:
        if not self._warned and not self._stopped.is_set() and state.outcome:
            self._warned = True
            log.warning("engine=openai: %s; trying again (said once)", state.outcome.exception())


@cache
def _certificates() -> ssl.SSLContext:
    # Reading them takes longer than most requests, and a failure ends a client.
    return httpx.create_ssl_context()


def _outside_loops(call: Callable[[], T]) -> T:
    """`call()`, in a thread of its own where this one already runs an event loop, as a notebook's does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def error_message(content: bytes) -> str:
    """What a server says in an error, as far as it can be read."""
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _key(variable: str) -> str:
    # A key that comes from a mounted secret often ends in a newline.
    key = os.environ.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise ConfigError(
            f"engine.api_key_env: the environment variable {variable} holds white space or a character beyond "
            "ASCII; allowed: a key of printable ASCII characters"
        )
    return key


def _retry_after(response: httpx.Response) -> float | None:
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None

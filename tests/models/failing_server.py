"""An HTTP server that fails on purpose: statuses from a list, then real-looking answers."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = -1
BREAK = -2


class FailingServer:
    """`plan` holds what the next requests get: a status, HANG or BREAK; afterwards all succeed."""

    def __init__(self) -> None:
        self.plan: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most = 0
        self.delay = 0.0
        self.together = 0
        """Nobody is answered before so many requests were there at once."""
        self.refusal = "refused with {}"
        """`{}` becomes the key that came with the request."""
        self.lock = threading.Lock()
        self.url = ""
        self.raw: bytes | None = None
        """What every success sends instead of `answer`."""
        self.drip_s = 0.0
        """Seconds between the bytes of a reply; 0: all at once."""

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "token_ids": [5, 6, 1], "logprobs": {"token_logprobs": [-0.5, -0.25, -0.25]}}
        return {"choices": [choice | {"index": i, "finish_reason": "stop"} for i in range(body.get("n", 1))]}


@contextmanager
def failing_server() -> Iterator[FailingServer]:
    state = FailingServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state.lock:
                state.bodies.append(body)
                state.headers.append(dict(self.headers))
                status = state.plan.pop(0) if state.plan else 200
                state.under_way += 1
                state.most = max(state.most, state.under_way)
            time.sleep(state.delay)
            while state.most < state.together:
                time.sleep(0.005)
            if status == HANG:
                time.sleep(3)
            # Before the reply: the client may send its next request as soon as it has it.
            with state.lock:
                state.under_way -= 1
            if status == BREAK:
                self.connection.close()
            elif status != HANG:
                self.reply(status, body)

        def reply(self, status: int, body: dict[str, Any]) -> None:
            key = self.headers.get("Authorization", "")
            content = state.answer(body) if status == 200 else {"error": {"message": state.refusal.format(key)}}
            data = state.raw if state.raw is not None and status == 200 else json.dumps(content).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "7")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not state.drip_s:
                self.wfile.write(data)
                return
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(state.drip_s)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave are part of the tests
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()

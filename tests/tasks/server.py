"""A loopback HTTP server that misbehaves on request."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server has, how it fails, and what it was asked.

    `faults` are used up one to a request: "truncate" (half the body), "corrupt", "stall",
    "drop" (the connection closes unanswered), or a status such as "503".
    """

    files: dict[str, bytes]
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    url: str = ""
    slow_s: float = 0.0


@contextmanager
def serving(files: dict[str, bytes], faults: list[str] | None = None) -> Iterator[Served]:
    """Serve `files` on a free loopback port."""
    served = Served(files, faults or [])
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append(self.path)
            fault = served.faults.pop(0) if served.faults else ""
            self.close_connection = True
            body = served.files.get(self.path.lstrip("/"))
            if fault.isdigit() or body is None:
                self.send_error(int(fault) if fault.isdigit() else 404)
                return
            if fault == "drop":
                return
            time.sleep(served.slow_s)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            rest = body
            if fault in ("truncate", "stall"):
                rest = rest[: len(rest) // 2]
            if fault == "corrupt":
                rest = bytes(byte ^ 1 for byte in rest)
            self.wfile.write(rest)
            self.wfile.flush()
            if fault == "stall":
                stop.wait(10)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        stop.set()
        server.shutdown()
        server.server_close()

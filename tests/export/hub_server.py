"""The few endpoints of the hub that an upload needs, on loopback."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_loopback_token"


class Hub:
    """What was asked for, and the files that arrived: {(kind, repository): {path: bytes}}."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.address = ""


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._answer({"error": "Invalid credentials"}, 401)
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts == ["api", "repos", "create"]:
                asked = json.loads(body)
                hub.created.append(asked)
                name = f"{asked.get('organization', 'me')}/{asked['name']}"
                prefix = "datasets/" if asked.get("type") == "dataset" else ""
                return self._answer({"url": f"{hub.address}/{prefix}{name}"})
            if parts[:2] == ["api", "validate-yaml"]:
                return self._answer({"errors": [], "warnings": []})
            kind, name, action = parts[1].removesuffix("s"), f"{parts[2]}/{parts[3]}", parts[4]
            if action == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return self._answer({"files": files})
            if action == "commit":
                held = hub.files.setdefault((kind, name), {})
                for line in body.splitlines():
                    row = json.loads(line)
                    if row["key"] == "file":
                        held[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                address = f"{hub.address}/{name}/commit/0"
                return self._answer({"success": True, "commitOid": "0" * 40, "commitUrl": address, "hookOutput": ""})
            return self._answer({"error": f"no such endpoint: {self.path}"}, 404)

        def do_GET(self) -> None:
            self._answer({"error": f"no such endpoint: {self.path}"}, 404)

        def _answer(self, content: dict[str, Any], status: int = 200) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            return None

    return Handler

"""What the hub refuses, said plainly. A server of ours answers as the hub does."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from selfguide.core.paths import config_dir

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SCRIPT = """
import json, sys
from selfguide.core.errors import ConfigError
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.source import context_length
from tests.models.checkpoints import model_config
for path in sys.argv[1:]:
    for ask in (context_length, load_prompt_tokenizer):
        try:
            ask(model_config(path))
        except ConfigError as error:
            print(json.dumps([path, str(error)]))
"""
GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted."}
REFUSALS = {
    "who/gated": (401, GATED, "gated on the hub: accept its licence there and set HF_TOKEN"),
    "who/waiting": (403, GATED, "gated on the hub: accept its licence there and set HF_TOKEN"),
    "who/private": (401, {"X-Error-Code": "RepoNotFound"}, "no such model on the hub (or it is private: set HF_TOKEN)"),
    "who/token": (401, {"X-Error-Message": "Invalid user token."}, "the hub does not take the token of HF_TOKEN"),
}


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        owner_and_name = "/".join(self.path.removeprefix("/api/models").strip("/").split("/")[:2])
        status, headers, _ = REFUSALS.get(owner_and_name, (404, {}, ""))
        if self.path.startswith("/api/models") and "X-Error-Code" in headers and headers is GATED:
            status, headers = 200, {}  # what a gated repository is, everybody may know
        body = json.dumps({"id": owner_and_name, "sha": COMMIT}).encode() if status == 200 else b"{}"
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_presets_name_the_commit_that_they_are_for() -> None:
    presets = {path.stem: yaml.safe_load(path.read_text()) for path in (config_dir() / "model").glob("*.yaml")}
    of_the_hub = {name: one for name, one in presets.items() if "/" in str(one.get("path"))}
    assert len(of_the_hub) > 15
    for name, one in of_the_hub.items():
        assert one["name"] == name and re.fullmatch("[0-9a-f]{40}", one["revision"]), name


def test_what_the_hub_refuses_is_one_plain_line(hub: str, tmp_path: Path) -> None:
    ours = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_x"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *REFUSALS], capture_output=True, text=True, timeout=400, env=os.environ | ours
    )
    said: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        path, message = json.loads(line)
        said.setdefault(path, set()).add(message)
    assert said == {path: {f"model.path: cannot load {path}: {why}"} for path, (_, _, why) in REFUSALS.items()}
    assert "hf_x" not in done.stdout + done.stderr

"""Reads the records of an offline W&B run: a LevelDB log of protocol buffers."""

import json
import struct
import time
from pathlib import Path
from typing import Any

BLOCK = 32768
HEADER = 7


def records(folder: Path) -> list[Any]:
    """All records of the one offline run below `folder`."""
    from wandb.proto import wandb_internal_pb2

    # W&B's own process writes the file: on a busy machine it may be absent, empty or cut when `finish` returns.
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        data = b"".join(file.read_bytes() for file in folder.rglob("run-*.wandb"))
        found = [wandb_internal_pb2.Record.FromString(content) for content in _contents(data)]
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{folder}: no record of a run that has ended after 240 s")


def _contents(data: bytes) -> list[bytes]:
    """Whole records; nothing where the last one is still being written."""
    assert data[:4] == b":W&B"[: len(data)]
    found, parts, offset = [], b"", HEADER
    while offset + HEADER <= len(data):
        left = BLOCK - offset % BLOCK
        if left < HEADER:
            offset += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        if offset + HEADER + length > len(data):
            break
        parts += data[offset + HEADER : offset + HEADER + length]
        offset += HEADER + length
        if kind in (1, 4):  # a whole record, or its last part
            found.append(parts)
            parts = b""
    return found


def run_of(found: list[Any]) -> Any:
    """The record that names the run."""
    return next(record.run for record in found if record.WhichOneof("record_type") == "run")


def history(found: list[Any]) -> list[dict[str, Any]]:
    """Logged rows."""
    rows = []
    for record in found:
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


def summary(found: list[Any]) -> dict[str, Any]:
    """The last value of each summary key."""
    values: dict[str, Any] = {}
    for record in found:
        if record.WhichOneof("record_type") == "summary":
            for item in record.summary.update:
                values["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return values


def artifacts(found: list[Any]) -> list[Any]:
    """Artifacts that were logged by the user, not by tables."""
    requests = (record for record in found if record.WhichOneof("record_type") == "artifact")
    return [record.artifact for record in requests if record.artifact.type != "run_table"]

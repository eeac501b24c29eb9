"""A hash is remembered for the file that was read, and for no other."""

import os
from pathlib import Path

import pytest

from selfguide.core import hashing
from selfguide.core.hashing import LARGE, TICK_NS, file_hash


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "HASH_CACHE", tmp_path / "hashes")


def test_a_file_that_was_written_since_is_read_again(tmp_path: Path) -> None:
    file, long_ago = tmp_path / "weights", 10**18
    found = set()
    for number, byte in enumerate(b"abc"):
        file.write_bytes(bytes([byte]) * LARGE)
        os.utime(file, ns=(long_ago, long_ago + number * TICK_NS))
        found |= {file_hash(file), file_hash(file, fresh=True)}
    assert len(found) == 3 and len(list((tmp_path / "hashes").iterdir())) == 3

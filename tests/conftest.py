import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tiny models gain little from a second thread, and lose much when another process holds its core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def _user_cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="selfguide-tests-") as folder:
        os.environ["SELFGUIDE_CACHE"] = folder  # fixtures of a session and their processes
        yield Path(folder)


@pytest.fixture(autouse=True)
def _own_user_cache(_user_cache: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test notes for its user, no other finds. Nothing is made before something is kept."""
    monkeypatch.setenv("SELFGUIDE_CACHE", str(_user_cache / str(abs(hash(request.node.nodeid)))))

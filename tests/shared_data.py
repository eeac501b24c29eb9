"""Where the real task files are: outside the repository, so tests that read them may skip."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SELFGUIDE_SHARED", Path(__file__).parent.parent.parent / "shared"))


def shared(*parts: str) -> Path:
    """A path below the shared folder; skips the test when it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {path}; set SELFGUIDE_SHARED to the folder that has {'/'.join(parts)}")
    return path

"""The tiers of the tests, by marker, and what those need that are not `unit`."""

import importlib.util
import shutil
from functools import cache
from pathlib import Path

TIERS = frozenset({"slow", "vllm", "browser", "postgres", "gpu"})
# Who asks for one of these fixtures is of that tier without saying so.
OF_FIXTURE = {"vllm_engine": "vllm", "vllm_server": "vllm", "driver": "browser", "postgresql": "postgres"}


@cache
def missing(tier: str) -> str | None:
    """Why the tests of this tier cannot run here, or None."""
    if tier == "vllm" and importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed (make install)"
    if tier == "browser" and not (shutil.which("chromium") and shutil.which("chromedriver")):
        return "no chromium and chromedriver (apt-get install chromium chromium-driver)"
    if tier == "postgres" and initdb() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if tier == "gpu":
        import torch

        return None if torch.cuda.is_available() else "no CUDA device"
    return None


def initdb() -> Path | None:
    """PostgreSQL's program that makes a server; Debian keeps it off the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve() if found else None

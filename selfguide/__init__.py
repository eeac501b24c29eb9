"""selfguide: a language model that teaches itself a task from an instruction and a few examples."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

__version__ = "0.1.0"

MOVED = {"selfguide.micro": "benchmarks.micro", "selfguide.bench": "benchmarks.speed"}


class _Moved(MetaPathFinder):
    """Says where a command went whose module has another name now."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in MOVED:
            raise ModuleNotFoundError(f"{name} is now {MOVED[name]}, in a checkout of the project", name=name)


if not any(type(finder).__name__ == "_Moved" for finder in sys.meta_path):
    sys.meta_path.append(_Moved())

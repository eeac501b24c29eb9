"""selfguide: a language model that teaches itself a task from an instruction and a few examples.

From Python: `selfguide.run(...)` and its neighbours, see `selfguide.api`.
"""

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfguide.api import compare, compose, export, forecast, lint, run, sweep, table

__version__ = "0.1.0"
__all__ = ["compare", "compose", "export", "forecast", "lint", "run", "sweep", "table"]

VERBS = ("chat", "export", "lint", "plan", "quality", "report", "table")
MOVED = {
    "selfguide.micro": "benchmarks.micro, in a checkout of the project",
    "selfguide.bench": "benchmarks.speed, in a checkout of the project",
    **{f"selfguide.{verb}": f"a command: selfguide {verb}" for verb in VERBS},
}


def __getattr__(name: str) -> Any:
    # Lazy: the commands and every module below import this package before anything else.
    if name in __all__:
        return getattr(import_module("selfguide.api"), name)
    raise AttributeError(f"module 'selfguide' has no attribute {name!r}")


class _Moved(MetaPathFinder):
    """Says where a command went whose module has another name now."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in MOVED:
            raise ModuleNotFoundError(f"{name} is now {MOVED[name]}", name=name)


if not any(type(finder).__name__ == "_Moved" for finder in sys.meta_path):
    sys.meta_path.append(_Moved())

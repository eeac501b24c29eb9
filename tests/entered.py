"""Which of the project's files and functions one command enters: `python -m tests.entered selfguide.main task=…`."""

import inspect
import json
import runpy
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parents[1] / "selfguide")


def main() -> None:
    """Run a module as `python -m` would and print {"files": […], "functions": n} as the last line."""
    functions: set[tuple[str, str]] = set()

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        # Modules and class bodies are no functions.
        if event == "call" and code.co_filename.startswith(PACKAGE) and code.co_flags & inspect.CO_OPTIMIZED:
            functions.add((code.co_filename, code.co_qualname))

    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.setprofile(None)
        files = sorted({str(Path(name).relative_to(PACKAGE)) for name, _ in functions if name.endswith(".py")})
        print(json.dumps({"files": files, "functions": len(functions)}))


if __name__ == "__main__":
    main()

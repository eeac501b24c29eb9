"""`selfguide compare runs/a runs/b`: how runs compare, as a page, tables and charts."""

import argparse
from pathlib import Path

from selfguide.config.command import fail
from selfguide.core.errors import SelfguideError
from selfguide.core.escaping import terminal


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide compare", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders of run folders (a sweep)")
    parser.add_argument("--to", type=Path, default=Path("runs/comparison"), help="output folder (runs/comparison)")
    parser.add_argument("--no-plots", action="store_true", help="write no SVG charts")
    options = parser.parse_args(arguments)
    from selfguide.analysis.compare import find_runs
    from selfguide.analysis.comparison import write_comparison

    try:
        files = write_comparison(find_runs(options.runs), options.to, plots=not options.no_plots)
    except SelfguideError as error:
        fail(str(error))
    print(terminal((options.to / "comparison.md").read_text(encoding="utf-8")))
    for file in files:
        print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")

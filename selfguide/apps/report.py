"""`python -m selfguide.report runs/a`: the run's page again. With several folders: how they compare."""

import argparse
from pathlib import Path

from selfguide.config.command import fail
from selfguide.core.errors import SelfguideError
from selfguide.core.escaping import terminal


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m selfguide.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders of run folders (a sweep)")
    parser.add_argument("--to", type=Path, default=Path("runs/comparison"), help="several runs: where it goes")
    parser.add_argument("--no-plots", action="store_true", help="several runs: no SVG files of the charts")
    parser.add_argument("--no-gold", action="store_true", help="one run: a page without evaluation instances")
    options = parser.parse_args(arguments)
    try:
        _report(options)
    except SelfguideError as error:
        fail(str(error))


def _report(options: argparse.Namespace) -> None:
    from selfguide.analysis.compare import find_runs

    runs = find_runs(options.runs)
    if len(runs) == 1:
        from selfguide.analysis.html import write_report

        files = [write_report(runs[0].path, gold=not options.no_gold)]
    else:
        from selfguide.analysis.comparison import write_comparison

        files = write_comparison(runs, options.to, plots=not options.no_plots)
        print(terminal((options.to / "comparison.md").read_text(encoding="utf-8")))
    for file in files:
        print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")

"""`python -m selfguide.report runs/a`: the run's page again. With several folders: how they compare."""

import argparse
from pathlib import Path

from selfguide.cli import fail
from selfguide.errors import SelfguideError


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m selfguide.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders of run folders (a sweep)")
    parser.add_argument(
        "--no-gold", action="store_true", help="one run: leave the evaluation instances out, to pass the page on"
    )
    options = parser.parse_args(arguments)
    try:
        _report(options)
    except SelfguideError as error:
        fail(str(error))


def _report(options: argparse.Namespace) -> None:
    from selfguide.report.html import write_report

    for folder in options.runs:
        page = write_report(folder, gold=not options.no_gold)
        print(f"{page}: {page.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

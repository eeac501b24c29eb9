"""`selfguide report runs/a`: the run's page again, from its folder."""

import argparse
from pathlib import Path

from selfguide.config.command import fail
from selfguide.core.errors import SelfguideError


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide report", description=__doc__)
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--no-gold", action="store_true", help="leave evaluation instances out of the page")
    options = parser.parse_args(arguments)
    from selfguide.analysis.html import write_report

    try:
        file = write_report(options.run, gold=not options.no_gold)
    except SelfguideError as error:
        fail(str(error))
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")

"""Progress bars, tables and lines: rich on a terminal, plain lines elsewhere (logs, pipes, SLURM).

Whatever is said is also in `run.log` (`selfguide.core.runlog`).
"""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfguide.core.escaping import terminal
from selfguide.core.live import Region
from selfguide.core.runlog import SAID

PLAIN_EVERY_S = 10.0
log = logging.getLogger("selfguide")
_said: set[str] = set()


def log_once(logger: logging.Logger, text: str, level: int = logging.WARNING) -> None:
    """Log a line unless it was logged here before."""
    if text not in _said:
        _said.add(text)
        logger.log(level, "%s", text)


class Bar:
    """The progress of one long stage. `advance` may carry fields to show, such as accepted=120."""

    def __init__(self, name: str, total: int | None, unit: str, of: "Terminal") -> None:
        self.name, self.total, self.unit = terminal(name), total, unit
        self._terminal = of
        self._done = 0
        self._resumed = 0
        self._start = self._said = time.monotonic()
        self._fields = self.ended = ""
        self._region: Region | None = None

    def __enter__(self) -> Self:
        self._region = self._terminal.region
        if self._region is not None:
            self._task = self._region.progress.add_task(self.name, total=self.total, rate="", more="")
        return self

    def resume(self, done: int) -> None:
        """Units that an earlier run finished: shown, but not part of the rate."""
        self._resumed += done
        self.advance(done)

    def advance(self, count: int, **fields: object) -> None:
        self._done += count
        if fields:
            self._fields = terminal(" ".join(f"{name} {value}" for name, value in fields.items()))
        if self._region is not None:
            self._region.progress.update(self._task, completed=self._done, rate=self._rate(), more=self._fields)
        elif time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._terminal.say(self._line())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._region is not None:
            self._region.progress.remove_task(self._task)
        elapsed = time.monotonic() - self._start
        ended = "stopped" if kind is not None else "done"
        self.ended = f"{self._line(eta=False)} {ended} in {elapsed:.1f} s"

    def _rate(self) -> str:
        elapsed = time.monotonic() - self._start
        return f"{(self._done - self._resumed) / elapsed:.1f} {self.unit}/s" if elapsed > 0 else ""

    def _line(self, eta: bool = True) -> str:
        of = "" if self.total is None else f"/{self.total}"
        parts = [f"{self.name}: {self._done}{of} {self.unit}", self._rate(), self._fields]
        fresh = self._done - self._resumed
        if eta and self.total is not None and fresh > 0:
            left = (time.monotonic() - self._start) / fresh * (self.total - self._done)
            parts.append(f"eta {left:.0f} s")
        return "  ".join(part for part in parts if part)


class Terminal:
    """Where a run speaks: one writer for stdout."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())
        self.region: Region | None = None

    @contextmanager
    def live(self) -> Iterator[None]:
        """Within it a terminal shows one live region, which then goes; elsewhere lines stay lines. May be nested."""
        if self.region is not None or not self.console.is_terminal or self.console.is_dumb_terminal:
            yield
            return
        with Region(self.console) as self.region:
            try:
                yield
            finally:
                self.region = None

    @contextmanager
    def bar(self, name: str, total: int | None, unit: str) -> Iterator[Bar]:
        bar = Bar(name, total, unit, self)
        try:
            with self.live(), bar:
                yield bar
        finally:
            self.say(bar.ended)

    def say(self, text: str) -> None:
        """One line; the text is never read as markup or as control characters."""
        text = terminal(text)
        SAID.info("%s", text)
        if self.region is not None:
            self.region.add(text)
        else:
            self.console.print(Text(text), soft_wrap=not self.console.is_terminal)

    def warn(self, text: str) -> None:
        """A line that must not be overlooked; also in the log file."""
        log.warning("%s", terminal(text))

    def note(self, text: str) -> None:
        """A line for the log file alone."""
        record = log.makeRecord(log.name, logging.INFO, "", 0, terminal(text), (), None)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; the first column is text, the others are figures."""
        rows = [[terminal(cell) for cell in row] for row in rows]
        if not self.console.is_terminal or self.region is not None:
            for line in plain_table(title, columns, rows):
                self.say(line)
            return
        SAID.info("%s", "\n".join(plain_table(terminal(title), columns, rows)))
        table = Table(title=Text(terminal(title)), title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(table)

    def drops(self, title: str, counts: Mapping[str, int], kept: int) -> None:
        """The drop-reason table of a stage."""
        total = kept + sum(counts.values())
        rows = [(reason, str(count), f"{count / total:.0%}") for reason, count in counts.items()]
        self.table(title, ("reason", "count", "share"), [*rows, ("kept", str(kept), f"{kept / max(total, 1):.0%}")])


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines, the columns aligned by spaces."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = [title]
    for row in [columns, *rows]:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines

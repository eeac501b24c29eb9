"""The one live region of a terminal: what a run is at, gone when it ends; `run.log` keeps what was said."""

from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

LINES = 8


class Region:
    """The latest lines, and a bar for each stage under way."""

    def __init__(self, console: Console) -> None:
        def cut(format_: str) -> TextColumn:
            return TextColumn(format_, table_column=Column(no_wrap=True, overflow="ellipsis"))

        self.progress = Progress(
            SpinnerColumn(), cut("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(),
            cut("{task.fields[rate]}"), TextColumn("eta"), TimeRemainingColumn(), cut("{task.fields[more]}"),
            console=console, expand=True,
        )  # fmt: skip
        self._lines: deque[str] = deque(maxlen=LINES)
        self._live = Live(get_renderable=self._shown, console=console, transient=True, refresh_per_second=8)

    def add(self, text: str) -> None:
        """A line above the bars; the oldest one goes."""
        self._lines.extend(text.splitlines())

    def _shown(self) -> Group:
        lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        return Group(*lines, self.progress)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

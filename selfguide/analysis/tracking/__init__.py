"""Telling a tracker about a run: when it starts, and all that its folder holds when it ends.

One run of the tracker for each job: its id comes from the configuration, so a restarted job goes on
in the same place. Trackers read the run folder through `selfguide.analysis.tracking.shown`, which never
hands out gold of a test split.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from selfguide.config.builtin import TRACKERS
from selfguide.config.schema import RunConfig
from selfguide.core.errors import SelfguideError

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """What every tracker offers; each method is called at most once."""

    def start(self) -> None:
        """The job begins. Raises `SelfguideError` if the tracker cannot work as configured."""

    def finish(self, folder: Path) -> None:
        """The job is done and its files are in `folder`."""

    def fail(self) -> None:
        """The job stopped before its end; it may be started again."""


@contextmanager
def tracked(config: RunConfig, folder: Path) -> Iterator[None]:
    """Track the job inside the block, as `tracking` says.

    A tracker that is misconfigured stops the job at once; one that fails later costs a warning.
    """
    if config.tracking.kind == "none":
        yield
        return
    tracker: Tracker = TRACKERS.load(config.tracking.kind)(config, folder)
    tracker.start()
    try:
        yield
    except BaseException:
        _guarded(tracker.fail)
        raise
    _guarded(lambda: tracker.finish(folder))


def _guarded(step: Callable[[], None]) -> None:
    try:
        step()
    except SelfguideError as error:
        log.warning("tracking: %s", error)
    except Exception:
        # The result is on disk: a tracker that is away must not turn a finished run into a failed one.
        log.warning("tracking: could not be completed; the run folder has everything", exc_info=True)

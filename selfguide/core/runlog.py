"""`run.log`: all that a run says, warns and logs, with times and levels."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAID = logging.getLogger("selfguide.said")
"""What a terminal was told. Apart from the other loggers, whose handlers would print it again."""
SAID.propagate = False
SAID.setLevel(logging.INFO)


class _Lines(logging.Formatter):
    """Each line of a message with the time and level of the first."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')} {record.levelname:<7} "
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return "\n".join(head + line for line in text.splitlines() or [""])


@contextmanager
def logged_to(file: Path) -> Iterator[None]:
    """Within it, `file` keeps what is said and logged; an exception that leaves it is logged, too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(_Lines())
    loggers = (logging.getLogger(), SAID)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        SAID.error("%s: %s", type(error).__name__, error, exc_info=True)
        raise
    except BaseException as error:
        SAID.warning("stopped: %s", type(error).__name__)
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()

"""Optuna's storage for a sweep: a journal file beside it by default, or a database by URL."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from selfguide.core.errors import ConfigError, MissingDependencyError

ATTEMPTS = 5
JOURNAL = "study.log"
START = b'{"op_code"'  # of a journal
FIRST_LINE = 65536  # bytes; more than Optuna's first entry, the name of a study


def open_storage(where: str | None, folder: Path, journal_lock: str) -> BaseStorage:
    """`where` is `sweep.storage`. Raises ConfigError if it cannot be opened."""
    if where is not None and "://" in where:
        return _database(where)
    path = folder / JOURNAL if where is None else Path(where).expanduser().absolute()
    _check_journal(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = JournalFileOpenLock if journal_lock == "open" else JournalFileSymlinkLock
    _cut_torn_line(path, kind(str(path)))
    return JournalStorage(JournalFileBackend(str(path), lock_obj=kind(str(path))))


def address(where: str | None, folder: Path) -> str:
    """For messages: never shows a password."""
    if where is None:
        return str(folder / JOURNAL)
    if "://" not in where:
        return where
    from sqlalchemy.engine import make_url

    return str(make_url(where).render_as_string(hide_password=True))


def _database(url: str) -> BaseStorage:
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        # Other sweepers may hold the file for a moment.
        arguments = {"connect_args": {"timeout": 60}}
    try:
        return _with_tables(url, arguments)
    except ModuleNotFoundError as error:
        what = "'selfguide[postgres]'" if str(error.name).startswith("psycopg2") else error.name
        raise MissingDependencyError(f"sweep.storage: needs the driver {error.name}: pip install {what}") from error
    except ImportError as error:
        raise MissingDependencyError(f"sweep.storage: {str(error).splitlines()[0]}") from error
    except (ArgumentError, SQLAlchemyError) as error:
        raise ConfigError(f"sweep.storage: cannot open it: {str(error).splitlines()[0]}") from error


def _with_tables(url: str, arguments: dict[str, Any]) -> BaseStorage:
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for attempt in range(ATTEMPTS):
        try:
            return RDBStorage(url, engine_kwargs=arguments)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            # Two sweepers made the tables of a new database at the same moment: the other has them now.
            raced = "already exists" in str(error) or isinstance(error, IntegrityError)
            if not raced or attempt + 1 == ATTEMPTS:
                raise
            time.sleep(1.0)
    raise AssertionError("unreachable")


def _check_journal(path: Path) -> None:
    """Raise ConfigError for a file that is something else: it is about to be written to."""
    if not path.exists():
        return
    if not path.is_file():
        raise ConfigError(f"sweep.storage: {path} is no file; allowed: a journal file, sqlite:///…, postgresql://…")
    with path.open("rb") as file:
        first = file.readline(FIRST_LINE)
    # Its writer may have been killed within the very first line.
    torn = not first.endswith(b"\n") and (first.startswith(START) or START.startswith(first))
    if not torn and not _is_entry(first):
        near = f"; did you mean sqlite:///{path}?" if first.startswith(b"SQLite") else ""
        raise ConfigError(f"sweep.storage: {path} is no Optuna journal, and stays as it is{near}")


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and "op_code" in entry


def _cut_torn_line(path: Path, lock: Any) -> None:
    """Remove what a writer killed in the middle of a line left: the next line would be glued to it."""
    if not path.exists():
        return
    lock.acquire()
    try:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


optuna.logging.set_verbosity(optuna.logging.WARNING)

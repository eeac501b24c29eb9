"""Optuna's storage for a sweep: a journal file beside it by default, a database or a gRPC proxy by URL."""

import os
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from selfguide.core.errors import ConfigError, MissingDependencyError
from selfguide.core.paths import expanded

ATTEMPTS = 5
JOURNAL = "study.log"
GRPC = "grpc://"
CONNECT_S = 10.0
START = b'{"op_code"'  # of every line of a journal

optuna.logging.set_verbosity(optuna.logging.WARNING)


def address(storage: str | None, folder: Path) -> str:
    """What `sweep.storage` means: itself, or the journal in the sweep's folder. A URL has no password by now."""
    return str(folder / JOURNAL) if storage is None else storage


def open_storage(storage: str | None, folder: Path, journal_lock: str) -> BaseStorage:
    """Raises ConfigError if `storage` (`sweep.storage`) cannot be opened."""
    where = address(storage, folder)
    if where.startswith(GRPC):
        return _proxy(where)
    if "://" in where:
        return _database(where)
    path = expanded(where, "sweep.storage").absolute()
    _check_journal(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = JournalFileOpenLock if journal_lock == "open" else JournalFileSymlinkLock
    _cut_torn_line(path, kind(str(path)))
    return JournalStorage(JournalFileBackend(str(path), lock_obj=kind(str(path))))


def _proxy(url: str) -> BaseStorage:
    host, _, port = url.removeprefix(GRPC).partition(":")
    try:
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            proxy = GrpcStorageProxy(host=host, port=int(port))
        proxy.wait_server_ready(CONNECT_S)
    except ValueError:
        raise ConfigError(f"sweep.storage: {url} is not allowed; allowed: {GRPC}HOST:PORT") from None
    except ImportError as error:
        raise MissingDependencyError("sweep.storage: needs gRPC: pip install 'selfguide[grpc]'") from error
    except ConnectionError as error:
        raise ConfigError(
            f"sweep.storage: nothing answers at {url}; see optuna.storages.run_grpc_proxy_server"
        ) from error
    return proxy


def _database(url: str) -> BaseStorage:
    from sqlalchemy.exc import IntegrityError, SQLAlchemyError

    # Other sweepers may hold a SQLite file for a moment.
    sqlite = url.startswith("sqlite")
    arguments: dict[str, Any] = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    try:
        for _ in range(ATTEMPTS - 1):
            try:
                return RDBStorage(url, engine_kwargs=arguments)
            except SQLAlchemyError as error:
                # Two sweepers made the tables of a new database at the same moment: the other has them now.
                if "already exists" not in str(error) and not isinstance(error, IntegrityError):
                    raise
            time.sleep(1.0)
        return RDBStorage(url, engine_kwargs=arguments)
    except ModuleNotFoundError as error:
        what = "'selfguide[postgres]'" if str(error.name).startswith("psycopg2") else error.name
        raise MissingDependencyError(f"sweep.storage: needs the driver {error.name}: pip install {what}") from error
    except ImportError as error:
        raise MissingDependencyError(f"sweep.storage: {str(error).splitlines()[0]}") from error
    except SQLAlchemyError as error:
        raise ConfigError(f"sweep.storage: cannot open it: {str(error).splitlines()[0]}") from error


def _check_journal(path: Path) -> None:
    """Raise ConfigError for a file that is something else: it is about to be written to."""
    if not path.exists():
        return
    if not path.is_file():
        raise ConfigError(f"sweep.storage: {path} is not a file; allowed: a journal file, sqlite:///…, postgresql://…")
    with path.open("rb") as file:
        first = file.read(len(START))
    # Its writer may have been killed within the very first line.
    if not START.startswith(first):
        near = f"; did you mean sqlite:///{path}?" if first.startswith(b"SQLite") else ""
        raise ConfigError(f"sweep.storage: {path} is not an Optuna journal and is left as it is{near}")


def _cut_torn_line(path: Path, lock: Any) -> None:
    """Remove what a writer killed in the middle of a line left: the next line would be glued to it."""
    if not path.exists():
        return
    lock.acquire()
    try:
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()

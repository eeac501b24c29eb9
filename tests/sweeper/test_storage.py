"""SQLite and a real PostgreSQL hold a study as the journal does; the dashboard serves it."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy.exc
from optuna.storages import GrpcStorageProxy
from optuna.trial import TrialState

from selfguide.apps.sweep.storage import open_storage
from selfguide.core.errors import ConfigError
from selfguide.testing.storage import StorageContract
from tests.ports import free_port
from tests.sweeper.apps import environment, jobs, start, sweep, trials, winner
from tests.tiers import initdb

SPACE = ["x=choice(0.0,0.1,0.2)", "y=a", "sweep.tasks=[t0,t2]"]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, on a free port of this host."""
    binary = initdb()
    assert binary is not None, "checked by the marker postgres"
    folder, port = tmp_path_factory.mktemp("postgresql"), free_port()
    # PostgreSQL refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if prefix:
        for parent in [folder, *folder.parents]:
            if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp", "/dev", "/dev/shm"):
                parent.chmod(parent.stat().st_mode | 0o711)
        shutil.chown(folder, "postgres")
    data = folder / "data"
    subprocess.run(
        [*prefix, str(binary), "-D", str(data), "-U", "sweeper", "-A", "trust", "-N"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    where = ["-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
    server = subprocess.Popen(
        [*prefix, str(binary.parent / "postgres"), *where],
        stdout=subprocess.DEVNULL, stderr=(tmp_path_factory.getbasetemp() / "postgresql.log").open("wb"), cwd="/",
    )  # fmt: skip
    url = f"postgresql+psycopg2://sweeper@127.0.0.1:{port}/postgres"
    try:
        _await(url)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _await(url: str) -> None:
    """Until it takes statements: it listens before."""
    engine, deadline = sqlalchemy.create_engine(url), time.monotonic() + 120
    while True:
        try:
            with engine.connect():
                return
        except sqlalchemy.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        finally:
            engine.dispose()


def goes_on_in(tmp_path: Path, url: str) -> None:
    first = sweep(tmp_path, *SPACE, f"sweep.storage='{url}'", "sweep.trials=1")
    ran = len(jobs(tmp_path))
    said = sweep(tmp_path, *SPACE, f"sweep.storage='{url}'")
    assert "new" in first and "going on" in said and winner(said) == "x=0.1"
    assert len(trials(tmp_path, url)) == 3 and len(jobs(tmp_path)) > ran
    assert not (tmp_path / "sweep" / "study.log").exists()


class TestJournal(StorageContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return str(tmp_path / "study.log")


class TestSQLite(StorageContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/study.db"


class TestGrpc(StorageContract):
    """Optuna's proxy before a journal."""

    @pytest.fixture
    def address(self, tmp_path: Path) -> Iterator[str]:
        pytest.importorskip("grpc", reason="needs grpcio")
        port = free_port()
        serve = (
            "import sys\nfrom optuna.storages import *\n"
            "from optuna.storages.journal import JournalFileBackend as File\n"
            "run_grpc_proxy_server(JournalStorage(File(sys.argv[1])), host='127.0.0.1', port=int(sys.argv[2]))"
        )
        server = subprocess.Popen([sys.executable, "-c", serve, str(tmp_path / "behind.log"), str(port)])
        try:
            GrpcStorageProxy(host="127.0.0.1", port=port).wait_server_ready(300)
            yield f"grpc://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait(30)


@pytest.mark.parametrize("address", ["grpc://127.0.0.1:x", "grpc://nothing"])
def test_a_proxy_without_a_port_is_one_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="allowed: grpc://HOST:PORT"):
        open_storage(address, tmp_path, "symlink")


def test_sqlite(tmp_path: Path) -> None:
    goes_on_in(tmp_path, f"sqlite:///{tmp_path}/study.db")


def test_postgresql(tmp_path: Path, postgresql: str) -> None:
    goes_on_in(tmp_path, postgresql)


def test_two_sweepers_share_a_study_in_postgresql(tmp_path: Path, postgresql: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    url = postgresql.rsplit("/", 1)[0] + "/template1"
    # Two hosts have two folders: only the database is shared.
    what = ["x=choice(0.0,0.1,0.2)", "sweep.tasks=[t0,t2]", f"sweep.storage='{url}'", "log=/dev/null"]
    both = [start(tmp_path / name, *what) for name in ("one", "two")]
    assert [process.wait(timeout=200) for process in both] == [0, 0], (tmp_path / "one" / "out").read_text()
    found = [t for t in trials(tmp_path, url) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len({str(trial.params) for trial in found}) == len(found) == 6


def test_open_lock_for_file_systems_without_links(tmp_path: Path) -> None:
    assert winner(sweep(tmp_path, *SPACE, "sweep.journal_lock=open")) == "x=0.1"


@pytest.mark.parametrize("content", [b"SQLite format 3\x00 and tables", b"precious text without newline", b"{}\n"])
def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "study.db"
    file.write_bytes(content)
    hint = "did you mean sqlite:///" if content.startswith(b"SQLite") else "is not an Optuna journal"
    with pytest.raises(ConfigError, match=hint):
        open_storage(str(file), tmp_path, "symlink")
    assert file.read_bytes() == content and [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.parametrize("torn", [b"", b'{"op_', b'{"op_code":0,"worker_id":"a'])
def test_a_journal_torn_in_its_first_line_begins_anew(tmp_path: Path, torn: bytes) -> None:
    file = tmp_path / "study.log"
    file.write_bytes(torn)
    assert open_storage(str(file), tmp_path, "symlink").get_all_studies() == []
    assert file.read_bytes() == b""


def test_the_dashboard_serves_the_study(tmp_path: Path) -> None:
    sweep(tmp_path, *SPACE, "sweep.trials=1")
    port = free_port()
    dashboard = Path(sys.executable).parent / "optuna-dashboard"
    server = subprocess.Popen(
        [str(dashboard), str(tmp_path / "sweep" / "study.log"), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                    assert b"table-" in answer.read()
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("optuna-dashboard did not answer")
    finally:
        server.terminate()
        server.wait(30)

"""A function in a process of its own."""

import logging
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from selfguide.core import child
from selfguide.core.errors import ChildError, ConfigError, SelfguideError
from tests.training.killing import wait_for


def refuse(kind: type[Exception]) -> None:
    raise kind("engine.device: no such device")


def told() -> None:
    logging.getLogger("selfguide.test").warning("half of %s", "it")
    print("noise")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def meet(folder: Path) -> list[str]:
    """Every process says which it is; the second never ends."""
    (folder / os.environ["RANK"]).write_text(str(os.getpid()))
    if os.environ["RANK"] == "1":
        time.sleep(600)
    wait_for(lambda: said(folder / "1"), 240)
    raise ConfigError("the first one fails")


def said(file: Path) -> bool:
    """Whether another process has written all of it: what it opens is empty first."""
    return file.exists() and bool(file.read_text())


def hold(size: int) -> int:
    return len(bytearray(size))


def wait(folder: Path) -> None:
    (folder / "started").write_text(str(os.getpid()))
    time.sleep(600)


def test_it_gives_the_result_of_a_process_that_has_not_our_modules() -> None:
    assert child.call(os.path.join, "a", "b") == "a/b"
    assert child.call(os.getpid) != os.getpid()
    assert child.call(os.getpid) != child.call(os.getpid)


def test_the_peak_is_that_of_the_largest_child() -> None:
    child.call(hold, 300 * 2**20)
    most = child.peaks["host"]
    child.call(hold, 1)
    assert child.peaks["host"] == most > 300 * 2**20


def test_an_error_of_ours_is_raised_as_it_was_and_a_bug_with_its_traceback() -> None:
    with pytest.raises(ConfigError, match=r"^engine\.device: no such device$"):
        child.call(refuse, ConfigError)
    with pytest.raises(ChildError, match=r"(?s)Traceback.*in refuse.*KeyError"):
        child.call(refuse, KeyError)
    with pytest.raises(SelfguideError, match="signal 9") as caught:
        child.call(die)
    assert "\n" not in str(caught.value)


def test_what_it_logs_is_logged_here_and_what_it_prints_is_not(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    child.call(told)
    assert [record.getMessage() for record in caplog.records] == ["half of it"]
    assert capfd.readouterr() == ("", "")


class Counted:
    """Keeps what a bar would show."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, object]]] = []

    def advance(self, count: int, **fields: object) -> None:
        self.told.append((count, fields))


def steps(progress: child.ChildProgress) -> None:
    progress.resume(3)
    progress.advance(1, loss="0.5")


def test_steps_are_told_to_the_bar_that_waits() -> None:
    bar = Counted()
    child.call(steps, child.ChildProgress(), progress=bar)  # type: ignore[arg-type]
    assert bar.told == [(3, {}), (1, {"loss": "0.5"})]


def test_one_that_fails_ends_the_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the first one fails"):
        child.call(meet, tmp_path, processes=2)
    assert not psutil.pid_exists(int((tmp_path / "1").read_text()))


def test_an_interrupted_wait_kills_it(tmp_path: Path) -> None:
    def interrupt() -> None:
        if said(tmp_path / "started"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.call(wait, tmp_path, watch=interrupt)
    wait_for(lambda: not psutil.pid_exists(int((tmp_path / "started").read_text())), 240)
    assert child.call(os.path.join, "a") == "a", "another server takes over"


def test_what_a_child_held_is_known_here() -> None:
    child.peaks.clear()
    child.call(bytearray, 200_000_000)
    assert child.peaks["host"] > 200_000_000

import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl import logging as absl_logging

from tests.tiers import OF_FIXTURE, TIERS, missing

# Tiny models gain little from a second thread, and lose much when another process holds its core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# No test pulls the plug: what a process wrote is there for the next one without waiting for the disk.
os.fsync = lambda descriptor: None

_FROZEN = pytest.StashKey[bool]()

# rouge-score brings absl, whose handler keeps the stream that it finds: pytest's, which it would close as soon as
# logging is configured anew.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--campaign-size", default="0.02", help="1: the campaigns at the sizes of docs/campaigns.md")
    parser.addoption("--campaign-first", default=0, type=int, help="the number of their first fault, to try others")
    parser.addoption("--matrix", default="cover", choices=["cover", "full"], help="full: every architecture every way")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in OF_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(OF_FIXTURE[fixture])
        if not TIERS & {mark.name for mark in item.iter_markers()}:
            item.add_marker("unit")
    # The long ones first: what is left at the end is then shared well between the processes.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Every training collects garbage, which takes half a second where the objects of all modules are looked through.
    if "peft" in sys.modules and _FROZEN not in item.config.stash:  # to count what is frozen takes milliseconds
        gc.collect()
        gc.freeze()
        item.config.stash[_FROZEN] = True
    _check_tiers(item)


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # or libraries complain at the end of what is left


def _check_tiers(item: pytest.Item) -> None:
    """What a tier needs must be there: without it a test is skipped, and fails in CI."""
    for tier in sorted(TIERS & {mark.name for mark in item.iter_markers()}):
        if reason := missing(tier):
            if os.environ.get("CI", "").lower() in ("1", "true") and tier != "gpu":
                pytest.fail(f"{reason}; in CI the tests of the tier {tier} must run")
            pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _user_cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="selfguide-tests-") as folder:
        os.environ["SELFGUIDE_CACHE"] = folder  # fixtures of a session and their processes
        yield Path(folder)


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """What one test changes in the process, no other finds: commands that run here set loggers and signals, too."""
    environment, folder, disabled = dict(os.environ), Path.cwd(), logging.root.manager.disable
    silent = {name for name, known in _loggers().items() if known.disabled}
    signals = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    torch = sys.modules.get("torch")
    numbers = torch and (torch.get_num_threads(), torch.get_default_dtype())
    yield
    environment["PYTEST_CURRENT_TEST"] = os.environ["PYTEST_CURRENT_TEST"]
    if os.environ != environment:
        os.environ.clear()
        os.environ.update(environment)
    os.chdir(folder)
    logging.disable(disabled)
    for name, known in _loggers().items():
        known.disabled = name in silent
    for signum, handler in signals.items():
        if signal.getsignal(signum) is not handler:
            signal.signal(signum, handler)
    if torch and numbers and numbers != (torch.get_num_threads(), torch.get_default_dtype()):
        torch.set_num_threads(numbers[0])
        torch.set_default_dtype(numbers[1])


def _loggers() -> dict[str, logging.Logger]:
    return {name: known for name, known in logging.root.manager.loggerDict.items() if isinstance(known, logging.Logger)}


@pytest.fixture(autouse=True)
def _own_user_cache(_user_cache: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test notes for its user, no other finds. Nothing is made before something is kept."""
    monkeypatch.setenv("SELFGUIDE_CACHE", str(_user_cache / str(abs(hash(request.node.nodeid)))))

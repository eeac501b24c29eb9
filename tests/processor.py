"""`-p tests.processor`: processor seconds of each tier and of the slowest tests, which a busy machine hardly changes.

Those of a test are the seconds of all processes below this one while it runs: its commands, trainings, servers.
"""

from collections import defaultdict
from collections.abc import Generator
from typing import Any

import psutil
import pytest

from tests.tiers import TIERS

SHOWN = 20
_started = dict[str, float]()
_spent = dict[tuple[str, str], float]()


def _seconds() -> float:
    """Of this process and all below it, and of those that have ended and were waited for."""
    total, own = 0.0, psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:  # it has just ended
            continue
    return total


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid: str) -> None:
    _started[nodeid] = _seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Generator[None, Any, Any]:
    if call.when == "teardown":
        tier = "+".join(sorted(TIERS & {mark.name for mark in item.iter_markers()})) or "unit"
        spent = _seconds() - _started.pop(item.nodeid)
        item.user_properties.append(("processor", (tier, spent)))
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Also where other processes ran the tests (pytest-xdist)."""
    for name, value in report.user_properties:
        if name == "processor" and report.when == "teardown":
            tier, spent = value
            _spent[tier, report.nodeid] = spent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tiers = defaultdict[str, float](float)
    for (tier, _), spent in _spent.items():
        tiers[tier] += spent
    terminalreporter.section("processor seconds")
    for tier, spent in sorted(tiers.items()):
        terminalreporter.line(f"{spent:8.1f} {tier}")
    for (tier, name), spent in sorted(_spent.items(), key=lambda one: -one[1])[:SHOWN]:
        terminalreporter.line(f"{spent:8.1f} {tier} {name}")

"""Overrides as nobody means them, through the command's own main: taken, or refused in one line and with 2."""

import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from selfguide.config.command import command, run_overrides
from selfguide.config.identity import knobs
from selfguide.config.validate import typed
from selfguide.search.freeze import with_lock
from tests.campaigns.junk import junk
from tests.campaigns.tally import Tally
from tests.composing import run_config

pytestmark = pytest.mark.slow
SIZE = 1200
GROUPS = ["task", "model", "engine", "method", "student", "teacher", "finetuning", "curation", "budget", "synthesis"]
VALUES = ["null", "???", "[]", "{}", "true", "-1", "1e400", "nan", "inf", "190", "''", "a b", "[1,[2,{a: 1}]]"]
VALUES += ["choice(1,2)", "interval(0,1)", "1,2", "a,b", "~x", "${oc.env:NONE}", "${seed}", "${a.b.c}", "${", "}", "["]
VALUES += ["'", '"', "\\", "{a: ", "../../etc/passwd", "~nouser/x", "/dev/full", "\x1b[31m", "\u202e", "x" * 5000]
VALUES += ["http://a:b@h/", "http://h/?t=1"]
FORMS = [
    *["{key}={value}"] * 3,
    *["{key}='{value}'"] * 3,
    "+{key}={value}",
    "++{key}={value}",
    "~{key}",
    "~{key}={value}",
    "{key}.x={value}",
]
FORMS += ["+{key}.new={value}", "{key}", "{key}=", "={value}", "{key}:{value}", "hydra.{key}={value}"]


@command()
def taken(config: DictConfig) -> float:
    """What every command does with its configuration first."""
    typed(with_lock(config, run_overrides()))
    return 0.0


def override(stream: random.Random, keys: list[str]) -> str:
    """One argument."""
    value = stream.choice([*VALUES, str(junk(stream))[:2000]]).replace("\x00", "")
    key = stream.choice([*stream.choices(keys, k=4), stream.choice(GROUPS), stream.choice(keys).swapcase()])
    return stream.choice(FORMS).format(key=key, value=value)


@pytest.fixture
def loggers() -> Iterator[None]:
    """Hydra's `disabled` switches off every logger that there is, for the tests after this one, too."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    known = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    disabled = [logger.disabled for logger in known]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for logger, was in zip(known, disabled, strict=True):
        logger.disabled = was


@pytest.mark.usefixtures("loggers")
def test_overrides(tmp_path: Path, tally: Callable[[str, int], Tally], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = tally("overrides", SIZE)
    keys = [knob.key for knob in knobs(run_config("+sweep=default"))]
    monkeypatch.chdir(tmp_path)
    quiet = ["hydra/job_logging=disabled", "hydra/hydra_logging=disabled", "hydra.run.dir=run"]
    for number in counts.numbers:
        stream = random.Random(number)
        arguments = [override(stream, keys) for _ in range(stream.choice([1, 1, 2, 3]))]
        monkeypatch.setattr("sys.argv", ["selfguide", "task=task190", *quiet, *arguments])
        counts.attempt_command(arguments, taken)
        GlobalHydra.instance().clear()
        logging.disable(logging.NOTSET)

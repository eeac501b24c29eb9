"""What a worker runs: the application's job, with its output kept in its folder and its result returned."""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf

from selfguide.core.errors import ConfigError
from selfguide.search.results import JobResult, read_result

SPLIT = "evaluation.split"


def check_split(config: DictConfig) -> None:
    """Raise ConfigError for a job, as composed, that would be scored on a test split."""
    if OmegaConf.select(config, SPLIT) == "test":
        raise ConfigError(f"{SPLIT}: test is not allowed in a sweep; settings are chosen on validation")


class SweepJob:
    """The task function a launcher gets. Pickled to other processes and hosts, so it holds nothing else."""

    def __init__(self, job: TaskFunction) -> None:
        self.job = job

    def __call__(self, config: DictConfig) -> dict[str, Any]:
        """Run; returns `JobResult.to_json()`. An exception carries its traceback as a note, which survives pickling."""
        check_split(config)
        folder = Path(HydraConfig.get().runtime.output_dir)
        with _output_to(folder / "output.log"):
            try:
                returned = self.job(config)
            except Exception as error:
                error.add_note(traceback.format_exc())
                raise
        result = read_result(folder, "", 0)
        if result is None:
            if isinstance(returned, bool) or not isinstance(returned, int | float):
                raise TypeError(f"the job returned {returned!r}; a sweep needs its score, a number from 0 to 1")
            result = JobResult(task="", seed=0, score=float(returned), folder=str(folder))
        return result.to_json()


@contextlib.contextmanager
def _output_to(file: Path) -> Iterator[None]:
    # One writer per terminal: that is the sweeper's table. Console handlers hold the stream they were made with.
    consoles = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    with (
        file.open("a", encoding="utf-8", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        streams = [handler.setStream(log) for handler in consoles]
        try:
            yield
        finally:
            for handler, stream in zip(consoles, streams, strict=True):
                handler.setStream(stream or sys.stdout)

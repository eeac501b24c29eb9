"""What Hydra tells while it runs jobs: the profiler of `debug=profile`, and the table at the end of a multirun."""

import cProfile
import io
import json
import pstats
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

SLOWEST = 60


@contextmanager
def called_back(config: DictConfig, folder: Path) -> Iterator[None]:
    """`hydra.callbacks` around a job that Hydra does not run itself; the job's files are in `folder`."""
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder.absolute())
    callbacks = Callbacks(config)
    callbacks.on_job_start(config=config, task_function=lambda _: None)
    try:
        yield
    finally:
        callbacks.on_job_end(config=config, job_return=JobReturn())


class Profile(Callback):
    """Python's profiler around a job; its files go into the run's folder."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """See `Callback.on_job_start`."""
        self._profile.enable()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write `profile.pstats`, and its slowest calls as `profile.txt`."""
        self._profile.disable()
        folder = Path(config.hydra.runtime.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self._profile.dump_stats(folder / "profile.pstats")
        text = io.StringIO()
        pstats.Stats(self._profile, stream=text).sort_stats("cumulative").print_stats(SLOWEST)
        (folder / "profile.txt").write_text(text.getvalue(), encoding="utf-8")


class Summary(Callback):
    """One table of all runs after a multirun; a sweep of ours has a table of its own."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See `Callback.on_multirun_end`."""
        if OmegaConf.select(config, "sweep") is not None:
            return
        folder = Path(config.hydra.sweep.dir)
        rows = [_row(file) for file in sorted(folder.glob("*/result.json"), key=_number)]
        if len(rows) > 1:
            from selfguide.core.console import Terminal

            header = ("run", "method", "seed", "few-shot ICL", "score", "gain", "over the control")
            Terminal().table(f"{len(rows)} runs in {folder}", header, rows)


def _number(file: Path) -> tuple[int, str]:
    number = file.parent.name.partition("-")[0]
    return (int(number) if number.isdigit() else 0, file.parent.name)


def _row(file: Path) -> tuple[str, ...]:
    result = json.loads(file.read_text(encoding="utf-8"))
    over = next(iter(result["gains"].values()), None)
    return (
        file.parent.name, result["method"], str(result["seed"]),
        _value(result["baseline"], ".1f"), _value(result["score"], ".1f"),
        _value(result["gain"], "+.1f"), _value(over, "+.1f"),
    )  # fmt: skip


def _value(value: dict[str, float] | None, form: str) -> str:
    return "" if value is None else format(100 * value["value"], form)

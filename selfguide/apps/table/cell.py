"""A cell of a table as a job of one of Hydra's launchers."""

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig
from rich.console import Console

from selfguide.apps.workers import Workers
from selfguide.core.console import Terminal
from selfguide.core.errors import SelfguideError

FAILURE = "failure.txt"


def cell_workers(launcher: Sequence[str] = ()) -> "Workers[int]":
    """What runs a table's cells: Hydra's launcher as the overrides say, in this process without any."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    quiet = ("hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null", "hydra.mode=MULTIRUN")
    config = hydra.compose_config("config", [*launcher, *quiet], RunMode.MULTIRUN, with_log_configuration=False)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
    started = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=CellJob(), config=config)
    return Workers(started, config, None)


class CellJob:
    """Runs the cell whose overrides and folder are Hydra's. Pickled to other processes and hosts."""

    def __call__(self, config: DictConfig) -> dict[str, Any]:
        """`{}`, or why there is no run: `reason` of a failure, or that another process is at it (`taken`)."""
        from selfguide.config.command import run_folder, run_overrides

        folder = run_folder()
        with _claimed(folder) as mine:
            if not mine:
                return {"taken": True}
            if (folder / "result.json").exists():
                return {}  # another row, or another process, made the very same run by now
            try:
                with _written_to(folder / "output.log") as terminal:
                    _run(config, run_overrides(), folder, terminal)
            except Exception as error:
                (folder / FAILURE).write_text(traceback.format_exc(), encoding="utf-8")
                return {"reason": _one_line(error)}
            (folder / FAILURE).unlink(missing_ok=True)
            return {}


def _run(config: DictConfig, overrides: Sequence[str], folder: Path, terminal: Terminal) -> None:
    from selfguide.config.validate import typed
    from selfguide.models.pool import warm_pool
    from selfguide.pipeline import run
    from selfguide.search.freeze import with_lock

    run_config = typed(with_lock(config, overrides))
    with warm_pool().lent(run_config) as engine:
        run(run_config, folder, terminal, engine)


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this process has the run to itself; a killed process lets go of it."""
    lock = FileLock(f"{folder}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def _written_to(file: Path) -> Iterator[Terminal]:
    """The run's terminal, and what libraries print: in its folder, as the terminal is the table's."""
    with (
        file.open("a", encoding="utf-8", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        yield Terminal(Console(file=log, highlight=False, soft_wrap=True, width=120))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, SelfguideError) else f"{type(error).__name__}: {text[:300]}"

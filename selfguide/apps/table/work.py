"""Runs what is not finished, one run after the other; a failure is noted and the others go on."""

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.grid import Cell
from selfguide.apps.table.jobs import Job, speaking_for
from selfguide.core.console import Terminal
from selfguide.core.errors import SelfguideError
from selfguide.models.pool import EnginePool, engine_key

FAILURE = "failure.txt"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a cell: a finished run, a reason why there is none, or neither (not run)."""

    cell: Cell
    run: RunFolder | None = None
    reason: str | None = None

    @property
    def status(self) -> str:
        """ok | empty_dataset | failed | not run."""
        if self.run is not None:
            return str(self.run.result["status"])
        return "not run" if self.reason is None else "failed"


def work(
    jobs: Sequence[Job], again: Sequence[str], terminal: Terminal, finished: Callable[[list[Done]], None]
) -> list[Done]:
    """Run every job that is not finished; `finished` is told after each what is there so far, in the order of jobs.

    Runs that can share an engine follow each other; those that take another run's rows come last. A second
    process with the same table takes other runs; each waits at the end for what the other has under way.
    """
    done = {index: known for index, job in enumerate(jobs) if (known := _known(job, again)) is not None}
    pending = [index for index in range(len(jobs)) if index not in done]
    kinds = {index: engine_key(config) for index in pending if (config := jobs[index].config) is not None}
    first = list(dict.fromkeys(kinds.values()))
    pending.sort(key=lambda index: (bool(jobs[index].after), first.index(kinds[index])))
    with EnginePool() as pool, terminal.bar("table", len(jobs), "runs") as bar:
        bar.resume(len(done))
        for wait in (False, True):
            for index in [index for index in pending if index not in done]:
                job = jobs[index]
                if not wait and not job.ready:
                    continue  # another process may be at what it takes
                bar.advance(0, failed=_failed(done), now=job.cell.name)
                with _claimed(job, wait) as mine:
                    if not mine:
                        continue
                    # Another row, or another process, may have made the very same run by now.
                    done[index] = _known(job, again) or _run(job, pool)
                bar.advance(1, failed=_failed(done), last=job.cell.name)
                finished([done.get(n) or _known(one, again) or Done(one.cell) for n, one in enumerate(jobs)])
    return [done[index] for index in range(len(jobs))]


def finished_runs(jobs: Sequence[Job]) -> list[Done]:
    """What is there without running anything."""
    return [_known(job, ()) or Done(job.cell) for job in jobs]


def _known(job: Job, again: Sequence[str]) -> Done | None:
    if job.problem is not None:
        return Done(job.cell, reason=job.problem)
    if job.finished and job.cell.row not in again:
        assert job.folder is not None
        return Done(job.cell, RunFolder(job.folder))
    return None


def _failed(done: Mapping[int, Done]) -> int:
    return sum(one.reason is not None for one in done.values())


@contextlib.contextmanager
def _claimed(job: Job, wait: bool) -> Iterator[bool]:
    """Whether this process has the run to itself; a killed process lets go of it."""
    assert job.folder is not None
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{job.folder}.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _run(job: Job, pool: EnginePool) -> Done:
    from selfguide.pipeline import run

    assert job.config is not None and job.folder is not None
    folder = job.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    try:
        with speaking_for(job.cell), _written_to(folder / "output.log") as terminal:
            run(job.config, folder, terminal, pool.engine_for(job.config))
    except Exception as error:
        # An engine that a run failed on may be broken: the next run starts its own.
        pool.close()
        (folder / FAILURE).write_text(traceback.format_exc(), encoding="utf-8")
        return Done(job.cell, reason=_one_line(error))
    (folder / FAILURE).unlink(missing_ok=True)
    return Done(job.cell, RunFolder(folder))


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

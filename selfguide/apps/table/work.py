"""Runs what is not finished on the workers there are; a failure is noted and the others go on."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.grid import Cell
from selfguide.apps.table.jobs import Job
from selfguide.apps.workers import MAX_LOSSES, Ended, Workers
from selfguide.config.identity import knobs
from selfguide.core.console import Terminal
from selfguide.models.pool import engine_key, warm_pool
from selfguide.search.sharing import work_of
from selfguide.store.usage import held

POLL_S = 0.5


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


class Work:
    """The cells of a table: which are done, which are under way, which comes next."""

    def __init__(self, jobs: Sequence[Job], again: Sequence[str]) -> None:
        self.jobs, self.again = jobs, again
        self.done = {index: known for index, job in enumerate(jobs) if (known := _known(job, again)) is not None}
        waiting = [index for index in range(len(jobs)) if index not in self.done]
        kinds = {index: engine_key(config) for index in waiting if (config := jobs[index].config) is not None}
        first = list(dict.fromkeys(kinds.values()))
        self.pending = sorted(waiting, key=lambda index: (bool(jobs[index].after), first.index(kinds[index])))
        self.makes = {index: _makes(jobs[index]) for index in waiting}
        self.losses: Counter[int] = Counter()

    def next_cell(self, busy: Iterable[int]) -> int | None:
        """The first that needs the least of what is being made by those under way; None if all that is left waits.

        Runs that can share an engine follow each other; those that take another run's rows come after it. A run that
        another process has under way is left to it.
        """
        made = {key for index in busy for key in self.makes[index]}
        ready = [index for index in self.pending if self.jobs[index].ready or not (busy or self._held())]
        ready.sort(key=lambda index: len(self.makes[index] & made))
        chosen = next((index for index in ready if not _is_held(self.jobs[index])), None)
        if chosen is not None:
            self.pending.remove(chosen)
            if (job := self.jobs[chosen]).cell.row in self.again:
                _folder(job).joinpath("result.json").unlink(missing_ok=True)
        return chosen

    def take(self, ended: Ended[int]) -> bool:
        """Note what became of a cell; whether it is done with."""
        job = self.jobs[ended.job]
        said = ended.returned or {}
        lost = ended.lost and self.losses[ended.job] < MAX_LOSSES
        self.losses[ended.job] += ended.lost
        if lost or said.get("taken"):
            self.pending.insert(0, ended.job)
            return False
        reason = ended.error.partition("\n")[0] or said.get("reason")
        self.done[ended.job] = Done(job.cell, reason=reason) if reason else Done(job.cell, RunFolder(_folder(job)))
        return True

    def so_far(self) -> list[Done]:
        """In the order of the jobs."""
        return [
            self.done.get(index) or _known(job, self.again) or Done(job.cell) for index, job in enumerate(self.jobs)
        ]

    @property
    def failed(self) -> int:
        return sum(one.reason is not None for one in self.done.values())

    def _held(self) -> bool:
        return any(_is_held(self.jobs[index]) for index in self.pending)


def work(work: Work, workers: Workers[int], terminal: Terminal, finished: Callable[[list[Done]], None]) -> list[Done]:
    """Run every cell that is not finished; `finished` is told after each what is there so far.

    A second process with the same table takes other runs; each waits at the end for what the other has under way.
    """
    try:
        with terminal.bar("table", len(work.jobs), "runs") as bar:
            bar.resume(len(work.done))
            news = False
            while work.pending or workers.busy:
                while workers.free and (index := work.next_cell(workers.busy)) is not None:
                    bar.advance(0, failed=work.failed, now=work.jobs[index].cell.name)
                    workers.start(index, _overrides(work.jobs[index]))
                if news:  # no worker idles while the figures are written
                    finished(work.so_far())
                ended = workers.wait() if workers.busy else None
                news = ended is not None and work.take(ended)
                if ended is None:
                    time.sleep(POLL_S)
                elif news:
                    bar.advance(1, failed=work.failed, last=work.jobs[ended.job].cell.name)
            finished(work.so_far())
    finally:
        warm_pool().close()
    return work.so_far()


def _known(job: Job, again: Sequence[str]) -> Done | None:
    if job.problem is not None:
        return Done(job.cell, reason=job.problem)
    return Done(job.cell, RunFolder(_folder(job))) if job.finished and job.cell.row not in again else None


def _folder(job: Job) -> Path:
    assert job.folder is not None
    return job.folder


def _is_held(job: Job) -> bool:
    lock = Path(f"{job.folder}.lock")
    return lock.exists() and held(lock)


def _overrides(job: Job) -> list[str]:
    folder = _folder(job).absolute()
    return [*job.cell.overrides, f"hydra.sweep.dir='{folder.parent}'", f"hydra.sweep.subdir='{folder.name}'"]


def _makes(job: Job) -> frozenset[str]:
    assert job.config is not None
    return work_of((job.cell.task, job.cell.seed), {knob.key: knob.value for knob in knobs(job.config)})

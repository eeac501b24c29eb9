"""The sweep itself: ask for settings, run their jobs, stop what cannot win, until the target is reached."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from selfguide.apps.sweep.finish import finish, stop_early
from selfguide.apps.sweep.plan import Plan, read_plan
from selfguide.apps.sweep.storage import address, open_storage
from selfguide.apps.sweep.study import StudyLink, TakenOver, origin, results_of
from selfguide.apps.sweep.view import View
from selfguide.apps.sweep.workers import FinishedJob, Workers
from selfguide.core.errors import SelfguideError
from selfguide.search.racing import Job, Race, Trial
from selfguide.search.results import Cell, describe, read_result

POLL_S = 1.0
# Launches of a job whose worker was lost, beside those that `sweep.retries` allows after a crash of its own.
LOSSES = 10


class SweepEnded(SelfguideError):
    """More trials failed than `sweep.max_failures` allows."""


def run_sweep(config: DictConfig, launcher: Launcher, context: HydraContext, arguments: Sequence[str]) -> float | None:
    """See `SelfguideSweeper.sweep`."""
    plan = read_plan(config, context.config_loader, arguments)
    plan.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, plan.folder / "multirun.yaml")
    link = StudyLink(plan, open_storage(plan.knobs.storage, plan.folder, plan.knobs.journal_lock))
    workers = Workers(launcher, config, plan.knobs.parallel)
    view = View(plan, live=not workers.in_process)
    for line in link.news:
        view.say(line)
    where = address(plan.knobs.storage, plan.folder)
    view.say(f"storage {where}; launcher {workers.name} with {workers.count} job(s) at once")
    with link.lease, view:
        sweep = Sweep(plan, link, workers, view)
        try:
            sweep.run()
        except BaseException:
            link.release()
            stop_early(plan, link, view)
            raise
    return finish(plan, link, view)


class Sweep:
    """One sweeper's work on its study."""

    def __init__(self, plan: Plan, link: StudyLink, workers: Workers, view: View) -> None:
        self.plan, self.link, self.workers, self.view = plan, link, workers, view
        self.race = Race(plan.knobs.tasks, plan.objective, plan.knobs.racing)  # type: ignore[arg-type]
        self.failures = 0
        self._seen: set[int] = set()
        self._waiting = False

    def run(self) -> None:
        """Until the target is reached and nothing is under way."""
        for trial in self.link.recover():
            self.view.say(f"trial {trial.number}: its sweeper died; {describe(trial.params) or 'it'} is asked again")
        self.link.retry_failed(all_of_them=self.plan.knobs.retry_failed)
        self.link.enqueue_first()
        while True:
            self._look()
            self._fill()
            if not self.workers.busy:
                if self.link.others_working():
                    # They finish, or their lease lapses and their trials are ours.
                    self._await_others()
                    continue
                if self.link.recover():
                    continue
                break
            if (ended := self.workers.wait(POLL_S)) is not None:
                self._take(ended)
            self.view.update(self.link.trials(), self.race)

    def _await_others(self) -> None:
        if not self._waiting:
            seconds = self.plan.knobs.lease_s
            self.view.say(
                f"other sweepers work on this study; waiting for them, or {seconds:g} s after their last word"
            )
        self._waiting = True
        self.view.update(self.link.trials(), self.race)
        time.sleep(min(POLL_S, self.plan.knobs.lease_s / 3))

    def _look(self) -> None:
        """Learn what other sweepers, or this one before a restart, finished."""
        for frozen in self.link.trials():
            if frozen.number in self._seen or frozen.state not in (TrialState.COMPLETE, TrialState.PRUNED):
                continue
            self._seen.add(frozen.number)
            results = results_of(frozen)
            for result in results.values():
                self.race.observe(result)
            if frozen.state == TrialState.COMPLETE and self.plan.objective.admissible(results):
                assert frozen.value is not None
                self.race.challenge(frozen.value, origin(frozen), self.race.lower_bound(results))
        for trial in list(self.race.trials.values()):
            with self._dropped_if_taken_over(trial):
                self._settle(trial)

    def _fill(self) -> None:
        """Give every free slot a job: of a trial under way, else of a new one, else ahead of need."""
        while self.workers.free:
            job = self.race.next_job()
            if job is None and not self._enter_next():
                job = self.race.next_job(ahead=True)
                if job is None:
                    return
            if job is not None:
                self._start(job)
                if self.workers.in_process:
                    return

    def _enter_next(self) -> bool:
        trial = self.link.ask()
        if trial is None:
            return False
        self.race.enter(trial)
        with self._dropped_if_taken_over(trial):
            for result in trial.results.values():
                self.link.save(trial.number, result)
            self._settle(trial)
        return True

    def _start(self, job: Job) -> None:
        trial = self.race.trials[job.number]
        cell = (job.task, job.seed)
        left = read_result(self._folder(trial, job), job.task, job.seed) if self.plan.binding.native else None
        if left is not None:
            # Finished by a worker that outlived its sweeper.
            self._take(FinishedJob(job, left))
            return
        trial.in_flight.add(cell)
        trial.attempts[cell] = trial.attempts.get(cell, 0) + 1
        self.view.started(trial, job)
        self.workers.start(job, self.plan.overrides(trial.setting, job))

    def _folder(self, trial: Trial, job: Job) -> Path:
        return self.plan.folder / self.plan.subfolder(trial.setting, job)

    def _take(self, ended: FinishedJob) -> None:
        trial = self.race.trials.get(ended.job.number)
        if trial is None:
            # Another sweeper has the setting.
            return
        with self._dropped_if_taken_over(trial):
            self._judge(trial, ended)
            self._settle(trial)

    @contextmanager
    def _dropped_if_taken_over(self, trial: Trial) -> Iterator[None]:
        try:
            yield
        except TakenOver:
            self.race.trials.pop(trial.number, None)
            self.view.say(f"trial {trial.number}: another sweeper took this one for dead and has its setting now")

    def _judge(self, trial: Trial, ended: FinishedJob) -> None:
        cell = (ended.job.task, ended.job.seed)
        trial.in_flight.discard(cell)
        if ended.result is not None and (problem := ended.result.problem()) is not None:
            ended = FinishedJob(ended.job, None, problem, hopeless=True)
        if ended.result is not None:
            trial.results[cell] = ended.result
            # An objective that needs more than the job gives says so at the first job.
            self.plan.objective.value(trial.results, self.plan.knobs.tasks)
            self.race.lower_bound(trial.results)
            self.race.observe(ended.result)
            self.link.save(trial.number, ended.result)
            self.view.ended(trial, ended.result)
        elif ended.lost:
            self._lose(trial, cell, ended)
        elif ended.hopeless or trial.attempts[cell] > self.plan.knobs.retries:
            trial.error = f"{ended.job.task} (seed {ended.job.seed}): {ended.error}"
        else:
            why = _first(ended.error)
            self.view.say(f"trial {trial.number}: {ended.job.task} crashed and is launched again: {why}")

    def _lose(self, trial: Trial, cell: Cell, ended: FinishedJob) -> None:
        # No verdict on the setting: whoever was in flight may have been killed with another's worker.
        trial.attempts[cell] -= 1
        trial.losses[cell] = trial.losses.get(cell, 0) + 1
        if trial.losses[cell] > LOSSES:
            trial.error, trial.lost = f"{ended.job.task} (seed {ended.job.seed}): {ended.error}", True
        else:
            self.view.say(f"trial {trial.number}: {ended.job.task} is launched again: {_first(ended.error)}")

    def _settle(self, trial: Trial) -> None:
        """Tell the storage about a trial that is decided and has no job in flight."""
        if trial.in_flight or not self.race.decided(trial):
            return
        if self.race.complete(trial):
            self.link.complete(trial)
            if self.plan.objective.admissible(trial.results):
                value = self.plan.objective.value(trial.results, self.plan.knobs.tasks)
                self.race.challenge(value, trial.origin, self.race.lower_bound(trial.results))
        elif trial.error is None:
            self.link.stop(trial)
        else:
            self.link.fail(trial, trial.error)
            if trial.lost:
                self.view.say(
                    f"trial {trial.number}: its workers were lost {LOSSES} times; the next start asks it again"
                )
            self.failures += 1
        self._seen.add(trial.number)
        del self.race.trials[trial.number]
        self.view.settled(trial, self.race, self.link.trials())
        limit = self.plan.knobs.max_failures
        if trial.error is not None and limit is not None and self.failures >= limit:
            raise SweepEnded(
                f"sweep.max_failures: {self.failures} trials failed; the last: {_first(trial.error)} "
                "(their tracebacks are in the study)"
            )


def _first(text: str) -> str:
    return text.strip().splitlines()[0]

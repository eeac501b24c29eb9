"""The sweep itself: ask for settings, run their jobs, stop what cannot win, until the target is reached."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.trial import TrialState

from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.study import FINISHED, StudyLink, TakenOver, origin, results_of
from selfguide.apps.sweep.view import View
from selfguide.apps.workers import MAX_LOSSES, Ended, Workers
from selfguide.core.errors import SelfguideError
from selfguide.search.racing import Job, Race, Trial
from selfguide.search.results import JobResult, describe, read_result

POLL_S = 1.0


class SweepEnded(SelfguideError):
    """More trials failed than `sweep.max_failures` allows."""


class Sweep:
    """One sweeper's work on its study."""

    def __init__(self, plan: Plan, link: StudyLink, workers: Workers[Job], view: View) -> None:
        self.plan, self.link, self.workers, self.view = plan, link, workers, view
        self.race = Race(plan.knobs.tasks, plan.objective, plan.knobs.racing)  # type: ignore[arg-type]
        self.failures = 0
        self._settled: set[int] = set()
        self._waiting = False

    def run(self) -> None:
        """Until the target is reached and nothing is under way."""
        for trial in self.link.recover():
            self.view.say(f"trial {trial.number}: its sweeper died; {describe(trial.params) or 'it'} will be run again")
        self.link.retry_failed(all_of_them=self.plan.knobs.retry_failed)
        self.link.enqueue_first()
        while True:
            self._read_study()
            self._start_jobs()
            if self.workers.busy:
                if (ended := self.workers.wait(POLL_S)) is not None:
                    self._take(ended)
            elif self.link.others_working():
                # They finish, or their lease lapses and their trials are ours.
                self._await_others()
            elif not self.link.recover():
                break
            self.view.update(self.link.trials(), self.race)

    def _await_others(self) -> None:
        seconds = self.plan.knobs.lease_s
        if not self._waiting:
            self.view.say(
                f"other sweepers are working on this study; waiting for them, or {seconds:g} s after their last word"
            )
        self._waiting = True
        time.sleep(min(POLL_S, seconds / 3))

    def _read_study(self) -> None:
        """Learn what other sweepers, or this one before a restart, finished."""
        for frozen in self.link.trials(*FINISHED):
            if frozen.number not in self._settled:
                self._settled.add(frozen.number)
                results = results_of(frozen)
                self.race.observe(results)
                if frozen.state == TrialState.COMPLETE:
                    self.race.challenge(results, origin(frozen))
        for trial in list(self.race.trials.values()):
            with self._dropped_if_taken_over(trial):
                self._settle(trial)

    def _start_jobs(self) -> None:
        """Give every free worker a job: of a trial under way, else of a new one, else ahead of need."""
        while self.workers.free:
            job = self.race.next_job()
            if job is None and self._enter_next():
                continue
            job = job or self.race.next_job(ahead=True)
            if job is None:
                return
            self._start(job)

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
        folder = self.plan.folder / self.plan.subfolder(trial.setting, job)
        result = read_result(folder, job.task, job.seed) if self.plan.binding.native else None
        if result is not None:
            # Finished by a worker that outlived its sweeper.
            self._take(Ended(job, result.to_json()))
            return
        trial.in_flight.add(job.cell)
        trial.attempts[job.cell] += 1
        self.view.started(trial, job)
        self.workers.start(job, self.plan.overrides(trial.setting, job))

    def _take(self, ended: Ended[Job]) -> None:
        trial = self.race.trials.get(ended.job.number)
        if trial is None:
            # Another sweeper has the setting.
            return
        with self._dropped_if_taken_over(trial):
            trial.in_flight.discard(ended.job.cell)
            if not ended.error:
                result = JobResult.from_json({**ended.returned, "task": ended.job.task, "seed": ended.job.seed})
                if (problem := result.problem()) is None:
                    self._keep(trial, result)
                else:
                    ended = Ended(ended.job, error=problem, hopeless=True)
            if ended.error:
                self._retry_or_fail(trial, ended)
            self._settle(trial)

    @contextmanager
    def _dropped_if_taken_over(self, trial: Trial) -> Iterator[None]:
        try:
            yield
        except TakenOver:
            self.race.trials.pop(trial.number, None)
            self.view.say(f"trial {trial.number}: another sweeper took over its setting, believing this one dead")

    def _keep(self, trial: Trial, result: JobResult) -> None:
        trial.results[result.cell] = result
        # An objective that needs more than the job gives says so at the first job.
        self.plan.objective.value(trial.results, self.plan.knobs.tasks)
        self.race.lower_bound(trial.results)
        self.race.observe({result.cell: result})
        self.link.save(trial.number, result)
        trial.stopped = trial.stopped or self.link.stopped_by_pruner(trial.number)
        self.view.ended(trial, result)

    def _retry_or_fail(self, trial: Trial, ended: Ended[Job]) -> None:
        job, why = ended.job, _first_line(ended.error)
        if ended.lost:
            # No verdict on the setting: whoever was in flight may have been killed with another's worker.
            trial.attempts[job.cell] -= 1
            trial.losses[job.cell] += 1
            again, what = trial.losses[job.cell] <= MAX_LOSSES, ""
        else:
            again, what = not ended.hopeless and trial.attempts[job.cell] <= self.plan.knobs.retries, "crashed and "
        if again:
            self.view.say(f"trial {trial.number}: {job.task} {what}is launched again: {why}")
        else:
            trial.error, trial.lost = f"{job.task} (seed {job.seed}): {ended.error}", ended.lost

    def _settle(self, trial: Trial) -> None:
        """Tell the storage about a trial that is decided and has no job in flight."""
        if trial.in_flight or not self.race.decided(trial):
            return
        if self.race.complete(trial):
            self.link.settle(trial, TrialState.COMPLETE)
            self.race.challenge(trial.results, trial.origin)
        elif trial.error is None:
            self.link.settle(trial, TrialState.PRUNED)
        else:
            self.link.settle(trial, TrialState.FAIL)
            self.failures += 1
            if trial.lost:
                self.view.say(
                    f"trial {trial.number}: its workers were lost {MAX_LOSSES} times; the next start runs it again"
                )
        self._settled.add(trial.number)
        del self.race.trials[trial.number]
        self.view.settled(trial, self.race, self.link.trials())
        limit = self.plan.knobs.max_failures
        if trial.error is not None and limit is not None and self.failures >= limit:
            raise SweepEnded(
                f"sweep.max_failures: {self.failures} trials failed; the last: {_first_line(trial.error)} "
                "(their tracebacks are in the study)"
            )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]

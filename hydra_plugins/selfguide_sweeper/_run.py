"""The sweep itself: ask for settings, run their jobs, stop what cannot win, until the target is reached."""

from collections.abc import Sequence
from pathlib import Path

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from hydra_plugins.selfguide_sweeper._finish import finish, stop_early
from hydra_plugins.selfguide_sweeper._plan import Plan, read_plan
from hydra_plugins.selfguide_sweeper._slots import Ended, Slots
from hydra_plugins.selfguide_sweeper._storage import address, open_storage
from hydra_plugins.selfguide_sweeper._study import StudyLink, origin, outcomes_of
from hydra_plugins.selfguide_sweeper._view import View
from selfguide.errors import SelfguideError
from selfguide.search.outcome import describe, read_outcome
from selfguide.search.racing import Job, Race, Trial

POLL_S = 1.0


class SweepEnded(SelfguideError):
    """More trials failed than `sweep.max_failures` allows."""


def run_sweep(config: DictConfig, launcher: Launcher, context: HydraContext, arguments: Sequence[str]) -> float | None:
    """See `SelfguideSweeper.sweep`."""
    plan = read_plan(config, context.config_loader, arguments)
    plan.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, plan.folder / "multirun.yaml")
    link = StudyLink(plan, open_storage(plan.knobs.storage, plan.folder, plan.knobs.journal_lock))
    slots = Slots(launcher, config, plan.knobs.parallel)
    view = View(plan, live=not slots.in_process)
    for line in link.news:
        view.say(line)
    where = address(plan.knobs.storage, plan.folder)
    view.say(f"storage {where}; launcher {slots.name} with {slots.count} job(s) at once")
    with link.lease, view:
        sweep = Sweep(plan, link, slots, view)
        try:
            sweep.run()
        except BaseException:
            link.release()
            stop_early(plan, link, view)
            raise
    return finish(plan, link, view)


class Sweep:
    """One sweeper's work on its study."""

    def __init__(self, plan: Plan, link: StudyLink, slots: Slots, view: View) -> None:
        self.plan, self.link, self.slots, self.view = plan, link, slots, view
        self.race = Race(plan.knobs.tasks, plan.objective, plan.knobs.racing)  # type: ignore[arg-type]
        self.failures = 0
        self._seen: set[int] = set()

    def run(self) -> None:
        """Until the target is reached and nothing is under way."""
        for trial in self.link.recover():
            self.view.say(f"trial {trial.number}: its sweeper died; {describe(trial.params) or 'it'} is asked again")
        if self.plan.knobs.retry_failed:
            self.link.retry_failed()
        self.link.enqueue_first()
        while True:
            self._look()
            self._fill()
            if not self.slots.busy:
                if not self.link.others_working() and self.link.recover():
                    continue
                break
            if (ended := self.slots.wait(POLL_S)) is not None:
                self._take(ended)
            self.view.update(self.link.trials(), self.race)

    def _look(self) -> None:
        """Learn what other sweepers, or this one before a restart, finished."""
        for frozen in self.link.trials():
            if frozen.number in self._seen or frozen.state not in (TrialState.COMPLETE, TrialState.PRUNED):
                continue
            self._seen.add(frozen.number)
            outcomes = outcomes_of(frozen)
            for outcome in outcomes.values():
                self.race.observe(outcome)
            if frozen.state == TrialState.COMPLETE and self.plan.objective.admissible(outcomes):
                assert frozen.value is not None
                self.race.challenge(frozen.value, origin(frozen), self.race.lower_bound(outcomes))
        for trial in list(self.race.trials.values()):
            self._settle(trial)

    def _fill(self) -> None:
        """Give every free slot a job: of a trial under way, else of a new one, else ahead of need."""
        while self.slots.free:
            job = self.race.next_job()
            if job is None and not self._enter_next():
                job = self.race.next_job(ahead=True)
                if job is None:
                    return
            if job is not None:
                self._start(job)
                if self.slots.in_process:
                    return

    def _enter_next(self) -> bool:
        trial = self.link.ask()
        if trial is None:
            return False
        self.race.enter(trial)
        for outcome in trial.outcomes.values():
            self.link.save(trial.number, outcome)
        self._settle(trial)
        return True

    def _start(self, job: Job) -> None:
        trial = self.race.trials[job.number]
        cell = (job.task, job.seed)
        left = read_outcome(self._folder(trial, job), job.task, job.seed) if self.plan.binding.native else None
        if left is not None:
            # Finished by a worker that outlived its sweeper.
            trial.outcomes[cell] = left
            self.race.observe(left)
            self.link.save(job.number, left)
            self._settle(trial)
            return
        trial.in_flight.add(cell)
        trial.attempts[cell] = trial.attempts.get(cell, 0) + 1
        self.view.started(trial, job)
        self.slots.start(job, self.plan.overrides(trial.setting, job))

    def _folder(self, trial: Trial, job: Job) -> Path:
        return self.plan.folder / self.plan.subfolder(trial.setting, job)

    def _take(self, ended: Ended) -> None:
        trial = self.race.trials[ended.job.number]
        cell = (ended.job.task, ended.job.seed)
        trial.in_flight.discard(cell)
        if ended.outcome is not None:
            trial.outcomes[cell] = ended.outcome
            # An objective that needs more than the job gives says so at the first job.
            self.plan.objective.value(trial.outcomes, self.plan.knobs.tasks)
            self.race.lower_bound(trial.outcomes)
            self.race.observe(ended.outcome)
            self.link.save(trial.number, ended.outcome)
            self.view.ended(trial, ended.outcome)
        elif ended.hopeless or trial.attempts[cell] > self.plan.knobs.retries:
            trial.error = f"{ended.job.task} (seed {ended.job.seed}): {ended.error}"
        else:
            why = _first(ended.error)
            self.view.say(f"trial {trial.number}: {ended.job.task} crashed and is launched again: {why}")
        self._settle(trial)

    def _settle(self, trial: Trial) -> None:
        """Tell the storage about a trial that is decided and has no job in flight."""
        if trial.in_flight or not self.race.decided(trial):
            return
        if self.race.complete(trial):
            self.link.complete(trial)
            if self.plan.objective.admissible(trial.outcomes):
                value = self.plan.objective.value(trial.outcomes, self.plan.knobs.tasks)
                self.race.challenge(value, trial.origin, self.race.lower_bound(trial.outcomes))
        elif trial.error is None:
            self.link.stop(trial)
        else:
            self.link.fail(trial, trial.error)
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

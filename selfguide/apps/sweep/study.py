"""The study: what was asked, what came of it, and what a dead sweeper left behind.

Everything a restart needs is in the trials' attributes, so that any number of sweepers on any
storage see the same.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from selfguide.apps.sweep.lease import Lease
from selfguide.apps.sweep.plan import Plan
from selfguide.search.fingerprint import differences
from selfguide.search.racing import Trial
from selfguide.search.results import Cell, JobResult, Setting, identity
from selfguide.search.sampler import LOST, ORIGIN, RepeatableSampler, exhausted, setting_of

OWNER, ERROR, JOB, BINDING, SWEEP = "sweeper", "error", "job:", "binding", "sweep"
WORKERS = "workers"  # on a FAIL trial: they were lost, which says nothing of the setting; a restart asks it again
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
ASK_PATIENCE_S = 5.0


class TakenOver(Exception):
    """Another sweeper took this one for dead and ended its trial; the setting is that sweeper's now."""


class StudyLink:
    """One sweeper's view of the study that belongs to its plan."""

    def __init__(self, plan: Plan, storage: BaseStorage) -> None:
        self.plan = plan
        self.news = _news(storage, plan)
        self.study = optuna.create_study(
            storage=storage,
            study_name=plan.study,
            direction="maximize",
            load_if_exists=True,
            sampler=RepeatableSampler(plan.knobs.sampler, plan.knobs.seed, plan.space),
            pruner=optuna.pruners.NopPruner(),
        )
        if BINDING not in self.study.user_attrs:
            self.study.set_user_attr(BINDING, plan.binding.content)
            self.study.set_user_attr(SWEEP, plan.knobs.name)
        self.lease = Lease(self.study, plan.knobs.lease_s)
        self._asked: dict[int, optuna.Trial] = {}

    def trials(self) -> list[FrozenTrial]:
        """All trials, fresh from the storage."""
        return list(self.study.get_trials(deepcopy=False))

    def enqueue_first(self) -> None:
        """The settings to try before the sampler chooses; only those the study does not hold."""
        held = {identity(setting_of(trial)) for trial in self.trials()}
        for written in self.plan.knobs.first:
            setting = self.plan.space.check(written)
            if identity(setting) not in held:
                self.study.enqueue_trial(setting)

    def recover(self) -> list[FrozenTrial]:
        """Fail the trials of sweepers that died and ask their settings again; returns them."""
        lost = [trial for trial in self.trials() if trial.state == TrialState.RUNNING and not self._attended(trial)]
        for trial in lost:
            self.give_up(trial, "its sweeper died")
        for trial in self.trials():
            if trial.state == TrialState.WAITING and not self._whole(setting_of(trial)):
                self.give_up(trial, "incomplete", again=False)
        return lost

    def retry_failed(self, *, all_of_them: bool) -> None:
        """Ask again for settings whose trial failed and that were not tried since: if it lost its workers, or all."""
        trials = self.trials()
        for trial in trials:
            later = {identity(setting_of(other)) for other in trials if other.number > trial.number}
            due = trial.state == TrialState.FAIL and LOST not in trial.user_attrs and trial.params
            if due and (all_of_them or WORKERS in trial.user_attrs) and identity(trial.params) not in later:
                self.study.enqueue_trial(trial.params, user_attrs={ORIGIN: origin(trial)})

    def give_up(self, trial: FrozenTrial, why: str, *, again: bool = True) -> None:
        """End a running trial as FAIL without a verdict on its setting, which is asked again unless told not to."""
        storage, trial_id = self.study._storage, trial._trial_id
        self._asked.pop(trial.number, None)
        try:
            storage.set_trial_user_attr(trial_id, LOST, why)
        except UpdateFinishedTrialError:
            # Another sweeper was quicker.
            return
        setting = setting_of(trial)
        # Enqueued first: a crash between the two lines leaves a duplicate, which is harmless, not a gap.
        # Killed within `ask`, it may have some of its keys only: then the sampler draws its place anew.
        if again and self._whole(setting):
            self.study.enqueue_trial(setting, user_attrs={ORIGIN: origin(trial)})
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_state_values(trial_id, state=TrialState.FAIL)

    def ask(self) -> Trial | None:
        """The next setting with all that is known of it, or None if there is nothing to ask."""
        while self._wanted():
            asked = self.study.ask(fixed_distributions=self.plan.space.distributions)
            asked.set_user_attr(OWNER, self.lease.id)
            why = self._superfluous(asked)
            if why is None:
                self._asked[asked.number] = asked
                frozen = self._frozen(asked.number)
                return Trial(asked.number, origin(frozen), dict(asked.params), self.known(asked.params))
            self.give_up(self._frozen(asked.number), why, again=False)
        return None

    def known(self, setting: Setting) -> dict[Cell, JobResult]:
        """Results of this setting in any trial of the study."""
        found: dict[Cell, JobResult] = {}
        for trial in self.trials():
            if identity(setting_of(trial)) == identity(setting):
                found.update({result.cell: result for result in results_of(trial).values()})
        return found

    def save(self, number: int, result: JobResult) -> None:
        """Keep one job's result: from here on no restart repeats it. Raises TakenOver, as all that follow."""
        with self._ours(number, over=False) as asked:
            asked.set_user_attr(f"{JOB}{result.task}:{result.seed}", json.dumps(result.to_json()))

    def complete(self, trial: Trial) -> None:
        """All jobs ran."""
        with self._ours(trial.number) as asked:
            self._constrain(asked, trial)
            self.study.tell(asked, self.plan.objective.value(trial.results, self.plan.knobs.tasks))

    def stop(self, trial: Trial) -> None:
        """It cannot win: pruned, with the running minimum as its value."""
        with self._ours(trial.number) as asked:
            self._constrain(asked, trial)
            asked.report(self.plan.objective.value(trial.results, self.plan.knobs.tasks), step=len(trial.results))
            self.study.tell(asked, state=TrialState.PRUNED)

    def fail(self, trial: Trial, error: str) -> None:
        """A job crashed for good, or lost its workers: no value, and the traceback is kept."""
        with self._ours(trial.number) as asked:
            asked.set_user_attr(ERROR, error)
            if trial.lost:
                asked.set_user_attr(WORKERS, "lost")
            self.study.tell(asked, state=TrialState.FAIL)

    def release(self) -> None:
        """Interrupted: give the trials under way back at once."""
        for number in list(self._asked):
            self.give_up(self._frozen(number), "interrupted")

    @contextmanager
    def _ours(self, number: int, *, over: bool = True) -> Iterator[optuna.Trial]:
        try:
            yield self._asked[number]
            if over:
                del self._asked[number]
        except (UpdateFinishedTrialError, ValueError) as error:
            # `Study.tell` has a ValueError for a trial that is over.
            if not self._frozen(number).state.is_finished():
                raise
            del self._asked[number]
            raise TakenOver(f"trial {number}") from error

    def others_working(self) -> bool:
        """Whether trials of other live sweepers are under way."""
        running = [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
        return any(t.user_attrs.get(OWNER) != self.lease.id and self._attended(t) for t in running)

    def _whole(self, setting: Setting) -> bool:
        return set(setting) == set(self.plan.space.distributions)

    def _wanted(self) -> bool:
        trials = self.trials()
        open_or_done = sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials)
        return open_or_done < self.plan.target and not exhausted(trials, self.plan.space.points())

    def _superfluous(self, asked: optuna.Trial) -> str | None:
        """Several sweepers may ask at the same moment: the later number gives way."""
        deadline = time.monotonic() + ASK_PATIENCE_S
        keys = len(self.plan.space.distributions)
        while True:
            earlier = [trial for trial in self.trials() if trial.number < asked.number and LOST not in trial.user_attrs]
            # Keys are stored one by one: an earlier trial is known when it has them all.
            if all(len(trial.params) == keys for trial in earlier if trial.state == TrialState.RUNNING):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        counted = sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in earlier)
        if counted >= self.plan.target:
            return "more than asked for"
        again = ORIGIN in self._frozen(asked.number).user_attrs
        same = [t for t in earlier if t.state != TrialState.WAITING and identity(t.params) == identity(asked.params)]
        if any(trial.state != TrialState.FAIL or not again for trial in same):
            return "asked twice"
        return None

    def _attended(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if owner is not None:
            return self.lease.alive(owner)
        # Killed, or still busy, between asking and signing.
        return self.lease.alive(None)

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self.trials() if trial.number == number)

    def _constrain(self, asked: optuna.Trial, trial: Trial) -> None:
        for task, violation in self.plan.objective.violations(trial.results).items():
            asked.set_constraint(f"floor of {task}", violation)


def origin(trial: FrozenTrial) -> int:
    """The number under which the setting was first asked."""
    return int(trial.user_attrs.get(ORIGIN, trial.number))


def results_of(trial: FrozenTrial) -> dict[Cell, JobResult]:
    """The jobs of a trial that ran."""
    found = [JobResult.from_json(json.loads(text)) for name, text in trial.user_attrs.items() if name.startswith(JOB)]
    return {result.cell: result for result in found}


def _news(storage: BaseStorage, plan: Plan) -> list[str]:
    """What to say about this study: new, gone on with, or new because something changed."""
    bound: dict[str, Mapping[str, Any]] = {}
    for study_id, name in _studies(storage):
        attrs = storage.get_study_user_attrs(study_id)
        if attrs.get(SWEEP) == plan.knobs.name:
            bound[name] = attrs[BINDING]
    if plan.study in bound:
        return [f"study {plan.study}: going on"]
    said = [f"study {plan.study}: new"]
    if bound:
        name, old = list(bound.items())[-1]
        said.append(f"{name} is another study and stays as it is; what differs:")
        said += [f"  {line}" for line in differences(old, json.loads(json.dumps(plan.binding.content)))]
    return said


def _studies(storage: BaseStorage) -> Iterator[tuple[int, str]]:
    for study in storage.get_all_studies():
        yield study._study_id, study.study_name

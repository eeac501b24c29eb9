"""The study: what was asked, what came of it, and what a dead sweeper left behind.

Everything a restart needs is in the trials' attributes, so that any number of sweepers on any
storage see the same.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from selfguide.apps.sweep.lease import Lease
from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.warm_start import warm_settings
from selfguide.core.files import json_text
from selfguide.search.fingerprint import differences
from selfguide.search.racing import Trial
from selfguide.search.results import Cell, JobResult, Setting, identity
from selfguide.search.sampler import LOST, ORIGIN, RepeatableSampler, exhausted, setting_of
from selfguide.search.targets import pruner_of

OWNER, ERROR, JOB, BINDING, SWEEP = "sweeper", "error", "job:", "binding", "sweep"
CONFIRMED = "confirmed:"  # an attribute of the study, as a trial that is over takes no more
WORKERS = "workers"  # on a FAIL trial: they were lost, which says nothing of the setting; a restart asks it again
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
ASK_PATIENCE_S = 5.0


class TakenOver(Exception):
    """Another sweeper took this one for dead and ended its trial; the setting is that sweeper's now."""


class StudyLink:
    """One sweeper's view of the study that belongs to its plan."""

    def __init__(self, plan: Plan, storage: BaseStorage) -> None:
        self.plan = plan
        self.news = list(_news(storage, plan))
        self.study = optuna.create_study(
            storage=storage,
            study_name=plan.study,
            direction="maximize",
            load_if_exists=True,
            sampler=RepeatableSampler(plan.knobs.sampler, plan.knobs.seed, plan.space),
            pruner=optuna.pruners.NopPruner() if plan.knobs.pruner is None else pruner_of(plan.knobs.pruner),
        )
        if BINDING not in self.study.user_attrs:
            self.study.set_user_attr(BINDING, plan.binding.content)
            self.study.set_user_attr(SWEEP, plan.knobs.name)
        self.lease = Lease(self.study, plan.knobs.lease_s)
        self._handles: dict[int, optuna.Trial] = {}
        self._cells = [(task, seed) for task in plan.knobs.tasks for seed in plan.knobs.seeds]
        self._started = time.monotonic()

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """All trials, or those of these states, fresh from the storage."""
        return list(self.study.get_trials(deepcopy=False, states=states or None))

    def enqueue_first(self) -> None:
        """The settings to try before the sampler chooses; only those the study does not hold."""
        # Not Optuna's `skip_if_exists`: it takes numbers that differ in the sixth digit for equal.
        held = {identity(setting_of(trial)) for trial in self.trials()}
        knobs, space = self.plan.knobs, self.plan.space
        settings: list[Setting] = [space.check(written) for written in knobs.first]
        if knobs.warm_start is not None:
            settings += warm_settings(knobs.warm_start, space, self.plan.folder, knobs.journal_lock)
        for setting in settings:
            if identity(setting) not in held:
                self.study.enqueue_trial(setting)

    def recover(self) -> list[FrozenTrial]:
        """Fail the trials of sweepers that died and ask their settings again; returns them."""
        lost = [trial for trial in self.trials(TrialState.RUNNING) if not self._attended(trial)]
        for trial in lost:
            self.give_up(trial, "its sweeper died")
        for trial in self.trials(TrialState.WAITING):
            if not self._has_every_key(setting_of(trial)):
                self.give_up(trial, "incomplete", again=False)
        return lost

    def retry_failed(self, *, all_of_them: bool) -> None:
        """Ask again for settings whose trial failed and that were not tried since: if it lost its workers, or all."""
        trials = self.trials()
        for trial in self.trials(TrialState.FAIL):
            later = {identity(setting_of(other)) for other in trials if other.number > trial.number}
            due = LOST not in trial.user_attrs and trial.params and (all_of_them or WORKERS in trial.user_attrs)
            if due and identity(trial.params) not in later:
                self.study.enqueue_trial(trial.params, user_attrs={ORIGIN: origin(trial)})

    def give_up(self, trial: FrozenTrial, why: str, *, again: bool = True) -> None:
        """End a running trial as FAIL without a verdict on its setting, which is asked again unless told not to."""
        storage, trial_id = self.study._storage, trial._trial_id
        # Another sweeper may have been quicker.
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_user_attr(trial_id, LOST, why)
            setting = setting_of(trial)
            # Enqueued first: a crash between the two lines leaves a duplicate, which is harmless, not a gap.
            # Killed within `ask`, it may have some of its keys only: then the sampler draws in its stead.
            if again and self._has_every_key(setting):
                self.study.enqueue_trial(setting, user_attrs={ORIGIN: origin(trial)})
            storage.set_trial_state_values(trial_id, state=TrialState.FAIL)

    def ask(self) -> Trial | None:
        """The next setting with all that is known of it, or None if there is nothing to ask."""
        while self._wanted():
            handle = self.study.ask(fixed_distributions=self.plan.space.distributions)
            handle.set_user_attr(OWNER, self.lease.id)
            frozen = self._frozen(handle.number)
            if (why := self._superfluous(frozen)) is None:
                self._handles[handle.number] = handle
                return Trial(frozen.number, origin(frozen), dict(frozen.params), self.known(frozen.params))
            self.give_up(frozen, why, again=False)
        return None

    def known(self, setting: Setting) -> dict[Cell, JobResult]:
        """Results of this setting in any trial of the study."""
        same = [trial for trial in self.trials() if identity(setting_of(trial)) == identity(setting)]
        return {cell: result for trial in same for cell, result in results_of(trial).items()}

    def save(self, number: int, result: JobResult) -> None:
        """Keep one job's result: from here on no restart repeats it. Raises TakenOver, as `settle`."""
        with self._handle(number) as handle:
            handle.set_user_attr(f"{JOB}{result.task}:{result.seed}", json_text(result.to_json()))
            handle.report(result.score, step=self._cells.index(result.cell))

    def stopped_by_pruner(self, number: int) -> bool:
        """Whether `sweep.pruner` gives this trial up, by the scores of its jobs."""
        return self.plan.knobs.pruner is not None and self._handles[number].should_prune()

    def settle(self, trial: Trial, state: TrialState) -> None:
        """End a trial.

        COMPLETE: all its jobs ran. PRUNED: it cannot win, its value is the running minimum. FAIL: a job crashed for
        good, or lost its workers; it has no value, and the traceback is kept.
        """
        with self._handle(trial.number) as handle:
            value = None
            if state == TrialState.FAIL:
                handle.set_user_attr(ERROR, trial.error)
                if trial.lost:
                    handle.set_user_attr(WORKERS, "lost")
            else:
                for task, violation in self.plan.objective.violations(trial.results).items():
                    handle.set_constraint(f"floor of {task}", violation)
                value = self.plan.objective.value(trial.results, self.plan.knobs.tasks)
            if state == TrialState.PRUNED:
                # Optuna takes a pruned trial's last report for its value; the jobs' scores stand before it.
                handle.report(value, step=len(self._cells) + len(trial.results))
                value = None
            self.study.tell(handle, value, state=state)

    def release(self) -> None:
        """Interrupted: give the trials under way back at once."""
        for trial in self.trials(TrialState.RUNNING):
            if trial.number in self._handles:
                self.give_up(trial, "interrupted")

    def others_working(self) -> bool:
        """Whether trials of other live sweepers are under way."""
        others = [t for t in self.trials(TrialState.RUNNING) if t.user_attrs.get(OWNER) != self.lease.id]
        return any(self._attended(trial) for trial in others)

    @contextmanager
    def _handle(self, number: int) -> Iterator[optuna.Trial]:
        try:
            yield self._handles[number]
        except (UpdateFinishedTrialError, ValueError) as error:
            # `Study.tell` has a ValueError for a trial that is over.
            if not self._frozen(number).state.is_finished():
                raise
            raise TakenOver(f"trial {number}") from error

    def _attended(self, trial: FrozenTrial) -> bool:
        # Without an owner: killed, or still busy, between asking and signing.
        return self.lease.alive(trial.user_attrs.get(OWNER))

    def _has_every_key(self, setting: Setting) -> bool:
        return set(setting) == set(self.plan.space.distributions)

    def _wanted(self) -> bool:
        trials = self.trials()
        wanted = _counted(trials) < self.plan.target and not exhausted(trials, self.plan.space.points())
        return wanted and not self._spent(trials)

    def _spent(self, trials: list[FrozenTrial]) -> bool:
        """Whether the time of this start, or the tokens of the study, are used up."""
        seconds, tokens = self.plan.knobs.timeout_s, self.plan.knobs.max_tokens
        if seconds is not None and time.monotonic() - self._started >= seconds:
            return True
        spent = (result.tokens for trial in trials for result in results_of(trial).values())
        return tokens is not None and sum(spent) >= tokens

    def _superfluous(self, trial: FrozenTrial) -> str | None:
        """Several sweepers may ask at the same moment: the later number gives way."""
        deadline = time.monotonic() + ASK_PATIENCE_S
        while True:
            earlier = [t for t in self.trials() if t.number < trial.number and LOST not in t.user_attrs]
            # Keys are stored one by one: an earlier trial is known when it has them all.
            known = all(self._has_every_key(t.params) for t in earlier if t.state == TrialState.RUNNING)
            if known or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if _counted(earlier) >= self.plan.target:
            return "more than asked for"
        same = [t for t in earlier if t.state != TrialState.WAITING and identity(t.params) == identity(trial.params)]
        # A failed setting may be asked again.
        if any(t.state != TrialState.FAIL or ORIGIN not in trial.user_attrs for t in same):
            return "asked twice"
        return None

    def _frozen(self, number: int) -> FrozenTrial:
        return next(trial for trial in self.trials() if trial.number == number)


def origin(trial: FrozenTrial) -> int:
    """The number under which the setting was first asked."""
    return int(trial.user_attrs.get(ORIGIN, trial.number))


def results_of(trial: FrozenTrial) -> dict[Cell, JobResult]:
    """The jobs of a trial that ran."""
    jobs = [text for name, text in trial.user_attrs.items() if name.startswith(JOB)]
    results = [JobResult.from_json(json.loads(text)) for text in jobs]
    return {result.cell: result for result in results}


def save_confirmed(study: optuna.Study, number: int, result: JobResult) -> None:
    """Keep a finalist's result with a further seed; `number` is when its setting was first asked."""
    study.set_user_attr(f"{CONFIRMED}{number}:{result.task}:{result.seed}", json.dumps(result.to_json()))


def confirmed_of(study: optuna.Study, number: int) -> dict[Cell, JobResult]:
    """The finalist's results with further seeds."""
    jobs = [text for name, text in study.user_attrs.items() if name.startswith(f"{CONFIRMED}{number}:")]
    results = [JobResult.from_json(json.loads(text)) for text in jobs]
    return {result.cell: result for result in results}


def _counted(trials: list[FrozenTrial]) -> int:
    """Trials that count towards the target: under way, or with a verdict."""
    return sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials)


def _news(storage: BaseStorage, plan: Plan) -> Iterator[str]:
    """What to say about this study: new, gone on with, or new because something changed."""
    attributes = {
        study.study_name: storage.get_study_user_attrs(study._study_id) for study in storage.get_all_studies()
    }
    bound = {name: attrs[BINDING] for name, attrs in attributes.items() if attrs.get(SWEEP) == plan.knobs.name}
    if plan.study in bound:
        yield f"study {plan.study}: going on"
        return
    yield f"study {plan.study}: new"
    if bound:
        name, old = list(bound.items())[-1]
        yield f"{name} is another study and stays as it is; what differs:"
        for line in differences(old, json.loads(json.dumps(plan.binding.content))):
            yield f"  {line}"

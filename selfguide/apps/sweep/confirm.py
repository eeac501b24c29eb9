"""The finalists: the best settings of a search run with further seeds, so that no lucky training is frozen."""

from filelock import FileLock
from optuna.trial import TrialState

from selfguide.apps.sweep.running import POLL_S, Sweep
from selfguide.apps.sweep.study import confirmed_of, origin, results_of, save_confirmed
from selfguide.search.objective import Objective
from selfguide.search.racing import Race, Trial
from selfguide.search.results import JobResult, describe
from selfguide.search.sampler import setting_of


class Confirmation(Sweep):
    """Runs the finalists' missing jobs on the search's workers. What is finished is kept in the study's attributes.

    Of several sweepers of one study the first works and the others wait: they find its results.
    """

    def confirm(self, final: Objective, finalists: int) -> None:
        """Until each of the best `finalists` settings has all seeds of `final`, or cannot be frozen any more."""
        with FileLock(self.plan.folder / "confirm.lock"):
            self.race = Race(self.plan.knobs.tasks, final, self.plan.knobs.racing)  # type: ignore[arg-type]
            for trial in self._best(finalists):
                self.race.enter(trial)
                self._settle(trial)
            if self.race.trials:
                settings = "; ".join(describe(trial.setting) for trial in self.race.trials.values())
                self.view.say(f"confirming with seeds {', '.join(map(str, final.seeds))}: {settings}")
            while True:
                self._start_jobs()
                if not self.workers.busy:
                    return
                if (ended := self.workers.wait(POLL_S)) is not None:
                    self._take(ended)

    def _best(self, count: int) -> list[Trial]:
        objective, tasks = self.plan.objective, self.plan.knobs.tasks
        settings: dict[int, Trial] = {}
        for frozen in self.link.trials(TrialState.COMPLETE):
            results = results_of(frozen)
            if objective.admissible(results):
                known = {**results, **confirmed_of(self.link.study, origin(frozen))}
                settings.setdefault(origin(frozen), Trial(origin(frozen), origin(frozen), setting_of(frozen), known))
        search = {number: objective.value(trial.results, tasks) for number, trial in settings.items()}
        return [settings[number] for number in sorted(search, key=lambda number: (-search[number], number))][:count]

    def _enter_next(self) -> bool:
        return False

    def _keep(self, trial: Trial, result: JobResult) -> None:
        trial.results[result.cell] = result
        self.race.observe({result.cell: result})
        save_confirmed(self.link.study, trial.number, result)
        self.view.ended(trial, result)

    def _settle(self, trial: Trial) -> None:
        if trial.in_flight or not self.race.decided(trial):
            return
        if trial.error is not None:
            self.view.say(f"trial {trial.number} is not confirmed: {trial.error.strip().splitlines()[0]}")
        elif self.race.complete(trial):
            self.race.challenge(trial.results, trial.origin)
            value, seeds = self.race.objective.worst(trial.results, self.race.tasks), self.race.objective.seeds
            self.view.say(f"trial {trial.number}  confirmed: minimum {value:.3f} over {len(seeds)} seeds")
        else:
            self.view.say(f"trial {trial.number}  cannot be the best over all seeds: its other jobs are not needed")
        del self.race.trials[trial.number]

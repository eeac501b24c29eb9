"""Which job is worth running next, and which trials are decided before all their jobs ran.

The running minimum of a trial only falls. Once it cannot exceed the incumbent, the trial cannot
win whatever its missing tasks would give: they are skipped and the winner stays the same. Ties go
to the trial that was asked first, in the race as in a full evaluation, which makes this hold for
any number of workers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from selfguide.search.objective import Objective, Results
from selfguide.search.results import Cell, JobResult, Setting
from selfguide.search.sharing import work_of

Racing = Literal["off", "exact", "noise_aware"]


class Incumbent(NamedTuple):
    """The best finished trial. `origin` is when its setting was first asked; `low` its lower confidence bound."""

    value: float
    origin: int
    low: float


class Job(NamedTuple):
    """One launch: a setting on a task with a seed, for a trial."""

    number: int
    task: str
    seed: int

    @property
    def cell(self) -> Cell:
        """Which of its trial's jobs this is."""
        return self.task, self.seed


@dataclass
class Trial:
    """A setting under way."""

    number: int
    origin: int
    setting: Setting
    results: dict[Cell, JobResult] = field(default_factory=dict)
    in_flight: set[Cell] = field(default_factory=set)
    error: str | None = None
    attempts: Counter[Cell] = field(default_factory=Counter)
    losses: Counter[Cell] = field(default_factory=Counter)
    stopped: bool = False  # by a pruner, which may be wrong
    lost: bool = False  # the error says nothing of the setting: its workers were lost


class Race:
    """The trials that one sweeper works on, against the incumbent of the whole study."""

    def __init__(self, tasks: Sequence[str], objective: Objective, racing: Racing) -> None:
        self.tasks = tuple(tasks)
        self.objective = objective
        self.racing = racing
        self.incumbent: Incumbent | None = None
        self.trials: dict[int, Trial] = {}
        self._observed: dict[str, list[float]] = {task: [] for task in tasks}

    def enter(self, trial: Trial) -> None:
        """Take a trial in; results it already has are not run again."""
        self.trials[trial.number] = trial
        self.observe(trial.results)

    def observe(self, results: Results) -> None:
        """Learn from results of any setting how hard their tasks are."""
        for result in results.values():
            if result.task in self._observed:
                self._observed[result.task].append(self.objective.quantity(result))

    def challenge(self, results: Results, origin: int) -> None:
        """A trial is complete: keep the better of it and the incumbent, unless it breaks a floor."""
        if not self.objective.admissible(results):
            return
        value = self.objective.value(results, self.tasks)
        if self.incumbent is None or (value, -origin) > (self.incumbent.value, -self.incumbent.origin):
            self.incumbent = Incumbent(value, origin, self.lower_bound(results))

    def order(self) -> list[str]:
        """Tasks by expected difficulty: lowest mean score so far first, unknown ones last."""
        means = {task: sum(values) / len(values) for task, values in self._observed.items() if values}
        return sorted(self.tasks, key=lambda task: means.get(task, float("inf")))

    def next_job(self, *, ahead: bool = False) -> Job | None:
        """The next job of the trial asked first.

        Without `ahead`, only trials that wait for no job are served: what they learn next may make
        a further job needless. With it, a worker that would idle takes the risk. Of a trial's jobs that comes first
        which needs the least of what is being made.
        """
        cells = [(task, seed) for task in self.order() for seed in self.objective.seeds]
        under_way = (work_of(cell, trial.setting) for trial in self.trials.values() for cell in trial.in_flight)
        made = frozenset().union(*under_way)
        for trial in sorted(self.trials.values(), key=lambda trial: (len(trial.in_flight), trial.origin)):
            if (trial.in_flight and not ahead) or self.decided(trial):
                continue
            left = [cell for cell in cells if cell not in trial.results and cell not in trial.in_flight]
            if left:
                needed = {cell: len(work_of(cell, trial.setting) & made) if made else 0 for cell in left}
                return Job(trial.number, *min(left, key=needed.__getitem__))
        return None

    def complete(self, trial: Trial) -> bool:
        """Whether every task ran with every seed."""
        return len(trial.results) == len(self.tasks) * len(self.objective.seeds)

    def decided(self, trial: Trial) -> bool:
        """Whether no further job of this trial is needed: complete, failed, or certain not to win."""
        return self.complete(trial) or trial.error is not None or trial.stopped or self.hopeless(trial)

    def hopeless(self, trial: Trial) -> bool:
        """Whether the trial cannot win any more."""
        if self.racing == "off" or not trial.results:
            return False
        if not self.objective.admissible(trial.results):
            return True
        best = self.incumbent
        if best is None:
            return False
        if self.racing == "noise_aware":
            return self.objective.quantile(trial.results, self.tasks, self.objective.confidence) <= best.low
        bound = self.objective.value(trial.results, self.tasks)
        return bound < best.value or (bound == best.value and trial.origin > best.origin)

    def lower_bound(self, results: Results) -> float:
        """Of an incumbent; only the noise-aware race looks at it."""
        if self.racing != "noise_aware":
            return float("-inf")
        return self.objective.quantile(results, self.tasks, 1 - self.objective.confidence)


@dataclass(frozen=True, slots=True)
class Savings:
    """Jobs that ran against those of a full evaluation of the same settings."""

    ran: int
    full: int

    @property
    def share(self) -> float:
        """Of the full evaluation that was not needed, 0 to 1."""
        return 1 - self.ran / self.full if self.full else 0.0


def savings(trials: Iterable[Results], jobs_per_trial: int) -> Savings:
    """What racing saved over these finished and stopped trials."""
    counts = [len(results) for results in trials]
    return Savings(sum(counts), jobs_per_trial * len(counts))

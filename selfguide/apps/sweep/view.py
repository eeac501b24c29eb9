"""What a sweep shows while it runs: a live table on a terminal, one line per event elsewhere."""

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from selfguide.analysis.running import duration
from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.study import FINISHED, results_of
from selfguide.core.console import Terminal
from selfguide.search.racing import Job, Race, Trial, savings
from selfguide.search.results import JobResult, describe, short
from selfguide.search.sampler import setting_of

log = logging.getLogger("selfguide")
ROWS = 20
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


class View:
    """`live` is off when jobs run in this process: then the terminal is written when none does."""

    def __init__(self, plan: Plan, *, live: bool) -> None:
        # The stream as it is now: jobs in this process redirect theirs.
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())
        self.terminal = Terminal(self._console)
        self._plan = plan
        self._live = Live(console=self._console, auto_refresh=False) if live and self._console.is_terminal else None
        self._start = time.monotonic()
        self._settled = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line."""
        self.terminal.say(text)

    def started(self, trial: Trial, job: Job) -> None:
        """A job is about to be launched."""
        if self._live is None:
            self.say(f"trial {trial.number}  {describe(trial.setting)}  {job.task} seed {job.seed} …")

    def ended(self, trial: Trial, result: JobResult) -> None:
        """A job has an result."""
        if self._live is None:
            baseline = "" if result.baseline is None else f" (few-shot {result.baseline:.3f})"
            odd = "" if result.status == "ok" else f"  {result.status}"
            worst = self._plan.objective.worst(trial.results, self._plan.knobs.tasks)
            self.say(
                f"trial {trial.number}  {result.task} seed {result.seed}: {result.score:.3f}{baseline}"
                f"  running minimum {worst:.3f}{odd}"
            )

    def settled(self, trial: Trial, race: Race, trials: Sequence[FrozenTrial]) -> None:
        """A trial is over; `trials` are all of the study."""
        self._settled += 1
        if self._live is not None:
            return
        worst = self._plan.objective.worst(trial.results, self._plan.knobs.tasks) if trial.results else None
        shown = "" if worst is None else f" with minimum {worst:.3f}"
        if trial.error is not None:
            self.say(f"trial {trial.number}  failed: {trial.error.splitlines()[0]}")
        elif race.complete(trial):
            self.say(f"trial {trial.number}  finished{shown}  {describe(trial.setting)}")
        else:
            left = self._plan.jobs_per_trial - len(trial.results)
            self.say(f"trial {trial.number}  pruned{shown}: {left} of {self._plan.jobs_per_trial} jobs not needed")
        self.say(self._footer(trials, race))

    def update(self, trials: Sequence[FrozenTrial], race: Race) -> None:
        """Redraw the table."""
        if self._live is None:
            return
        table = trial_table(self._plan, trials)
        table.caption = Text(self._footer(trials, race))
        self._live.update(table, refresh=True)

    def _footer(self, trials: Sequence[FrozenTrial], race: Race) -> str:
        finished = [trial for trial in trials if trial.state in FINISHED]
        saved = savings((results_of(trial) for trial in finished), self._plan.jobs_per_trial)
        parts = [f"{len(finished)} of {self._plan.target} trials"]
        if race.incumbent is not None:
            parts.append(f"best {race.incumbent.value:.3f}")
        parts.append(f"racing saved {saved.full - saved.ran} of {saved.full} jobs ({saved.share:.0%})")
        left = self._plan.target - len(finished)
        if self._settled and left > 0:
            parts.append(f"eta {duration((time.monotonic() - self._start) / self._settled * left)}")
        return "  ".join(parts)


def trial_table(plan: Plan, trials: Sequence[FrozenTrial]) -> Table:
    """The last trials, one row each: setting, score per task, minimum, state."""
    table = Table(title=Text(plan.study), title_justify="left")
    table.add_column("trial", justify="right")
    for key in plan.space.distributions:
        table.add_column(key.rpartition(".")[2], justify="right")
    for task in plan.knobs.tasks:
        table.add_column(task.split()[0], justify="right")
    table.add_column("minimum", justify="right")
    table.add_column("state")
    for trial in trials[-ROWS:]:
        table.add_row(*(Text(cell) for cell in row_of(plan, trial)))
    return table


def row_of(plan: Plan, trial: FrozenTrial) -> list[str]:
    """The cells of a trial's row; an empty score is a job that did not run."""
    results = results_of(trial)
    setting = setting_of(trial)
    scores = [plan.objective.task_value(results, task) for task in plan.knobs.tasks]
    worst = plan.objective.worst(results, plan.knobs.tasks) if results else None
    return [
        str(trial.number),
        *(short(setting[key]) if key in setting else "" for key in plan.space.distributions),
        *("" if score is None else f"{score:.3f}" for score in scores),
        "" if worst is None else f"{worst:.3f}",
        STATES[trial.state],
    ]

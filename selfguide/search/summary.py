"""A finished sweep as plain data: what the table, the report and the frozen setting are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from selfguide.core.escaping import markdown_cell
from selfguide.search.objective import Objective, Results
from selfguide.search.optimism import Optimism, optimism
from selfguide.search.racing import Savings, savings
from selfguide.search.results import short


@dataclass(frozen=True)
class TrialRow:
    """One trial. `state` is finished, pruned, failed, running or waiting; `error` holds a traceback."""

    number: int
    origin: int
    setting: Mapping[str, Any]
    results: Results
    state: str
    error: str | None = None

    @property
    def seconds(self) -> float:
        """Spent by its jobs."""
        return sum(result.seconds for result in self.results.values())

    @property
    def saved_seconds(self) -> float:
        """Of the stages its jobs found in the store."""
        return sum(result.saved_seconds for result in self.results.values())


@dataclass(frozen=True)
class Summary:
    """All trials of a study, in the order of their numbers. Lost trials are left out."""

    study: str
    tasks: Sequence[str]
    keys: Sequence[str]
    objective: Objective
    racing: str
    rows: Sequence[TrialRow]
    importance: Mapping[str, float] = field(default_factory=dict)
    _values: dict[int, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def finished(self) -> list[TrialRow]:
        """Trials whose every job ran."""
        return [row for row in self.rows if row.state == "finished"]

    @property
    def decided(self) -> list[TrialRow]:
        """Finished and pruned trials."""
        return [row for row in self.rows if row.state in ("finished", "pruned")]

    @cached_property
    def winner(self) -> TrialRow | None:
        """The best finished trial that breaks no floor; of equals, the one asked first. None while a trial runs."""
        if any(row.state == "running" for row in self.rows):
            return None
        admissible = [row for row in self.finished if self.objective.admissible(row.results)]
        return max(admissible, key=lambda row: (self.value(row), -row.origin), default=None)

    def value(self, row: TrialRow) -> float:
        """What is maximised. Kept: with lcb it is a bootstrap."""
        if row.number not in self._values:
            self._values[row.number] = self.objective.value(row.results, self.tasks)
        return self._values[row.number]

    @property
    def racing_savings(self) -> Savings:
        """Jobs that ran, against all tasks and seeds for each decided trial."""
        return savings((row.results for row in self.decided), len(self.tasks) * len(self.objective.seeds))

    @cached_property
    def optimism(self) -> Optimism | None:
        """See `selfguide.search.optimism`."""
        winner = self.winner
        if winner is None:
            return None
        return optimism(winner.results, [row.results for row in self.finished], self.tasks, self.objective)


def columns(summary: Summary) -> list[str]:
    """Heads of the table."""
    tasks = [task.split()[0] for task in summary.tasks]
    return ["trial", *summary.keys, *tasks, "minimum score", "minimum gain", "state"]


def cells(summary: Summary, row: TrialRow) -> list[str]:
    """A row of the table; an empty cell is a job that racing made needless, or that failed."""
    scores = [summary.objective.task_score(row.results, task) for task in summary.tasks]
    return [
        str(row.number),
        *(short(row.setting.get(key)) for key in summary.keys),
        *("" if score is None else f"{score:.3f}" for score in scores),
        _text(worst(row.results, summary, gain=False)),
        _text(worst(row.results, summary, gain=True)),
        row.state + (" (winner)" if summary.winner is row else ""),
    ]


def worst(results: Results, summary: Summary, *, gain: bool) -> float | None:
    """The smallest task mean of score or gain over the jobs that ran."""
    means = []
    for task in summary.tasks:
        jobs = [result for result in results.values() if result.task == task]
        if gain and any(result.baseline is None for result in jobs):
            return None
        values = [result.score - (result.baseline or 0.0 if gain else 0.0) for result in jobs]
        if values:
            means.append(sum(values) / len(values))
    return min(means, default=None)


def markdown(summary: Summary) -> str:
    """The table for people and diffs."""
    heads = [markdown_cell(head) for head in columns(summary)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    winner = summary.winner
    for row in summary.rows:
        shown = [markdown_cell(cell) for cell in cells(summary, row)]
        lines.append("| " + " | ".join(f"**{c}**" if row is winner and c else c for c in shown) + " |")
    return "\n".join(lines) + "\n"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

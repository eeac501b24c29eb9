"""A finished sweep as plain data: what the table, the report and the frozen setting are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from selfguide.core.escaping import markdown_cell
from selfguide.search.objective import Objective, Results
from selfguide.search.optimism import Choice, Optimism, optimism
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
    confirmed: Results = field(default_factory=dict)
    """Of a finalist: its results with the further seeds."""

    @property
    def all_results(self) -> Results:
        """Over the seeds of the search and the further ones."""
        return {**self.results, **self.confirmed}

    @property
    def seconds(self) -> float:
        """Spent by its jobs."""
        return sum(result.seconds for result in self.all_results.values())

    @property
    def saved_seconds(self) -> float:
        """Of the stages its jobs found in the store."""
        return sum(result.saved_seconds for result in self.all_results.values())


@dataclass(frozen=True)
class Summary:
    """All trials of a study, in the order of their numbers. Lost trials are left out.

    `final` is the objective over the seeds of the finalists, where the best settings were confirmed.
    """

    study: str
    tasks: Sequence[str]
    keys: Sequence[str]
    objective: Objective
    racing: str
    rows: Sequence[TrialRow]
    final: Objective | None = None
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
    def finalists(self) -> list[TrialRow]:
        """Trials with a result for every task and every seed of `final`, best first."""
        if self.final is None:
            return []
        cells = {(task, seed) for task in self.tasks for seed in self.final.seeds}
        rows = [row for row in self.finished if cells <= set(row.all_results)]
        return sorted(rows, key=lambda row: (-self.final_value(row), row.origin))

    @cached_property
    def winner(self) -> TrialRow | None:
        """The best finished trial that breaks no floor; of equals, the one asked first. None while a trial runs.

        Where settings were confirmed, it is the best of them over all seeds.
        """
        if any(row.state == "running" for row in self.rows):
            return None
        if self.finalists:
            final = self.final or self.objective
            return next((row for row in self.finalists if final.admissible(row.all_results)), None)
        admissible = [row for row in self.finished if self.objective.admissible(row.results)]
        return max(admissible, key=lambda row: (self.value(row), -row.origin), default=None)

    def final_value(self, row: TrialRow) -> float:
        """What is maximised, over all seeds that a finalist has."""
        final = self.final if row.confirmed else None
        return self.value(row) if final is None else final.value(row.all_results, self.tasks)

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
        """See `selfguide.search.optimism`: over all decided trials, those that racing stopped by their results."""
        winner = self.winner
        if winner is None:
            return None
        confirmed = len(self.finalists)
        choice = Choice(self.objective, (self.final if confirmed else None) or self.objective, max(1, confirmed))
        return optimism(winner.all_results, [row.all_results for row in self.decided], self.tasks, choice)


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


def finalist_table(summary: Summary) -> list[list[str]]:
    """Heads and rows of the finalists: means over all their seeds, and the smallest. Empty where none was confirmed."""
    final, shown = summary.final, [["trial", *summary.keys, *(task.split()[0] for task in summary.tasks), "value"]]
    if final is None or not summary.finalists:
        return []
    for row in summary.finalists:
        scores = [final.task_score(row.all_results, task) for task in summary.tasks]
        setting = [short(row.setting.get(key)) for key in summary.keys]
        value = f"{summary.final_value(row):.3f}"
        shown.append([str(row.number), *setting, *("" if s is None else f"{s:.3f}" for s in scores), value])
    return shown


def markdown(summary: Summary) -> str:
    """The tables for people and diffs: all trials, and the finalists with their further seeds."""
    rows = [[f"**{c}**" if row is summary.winner and c else c for c in cells(summary, row)] for row in summary.rows]
    tables = [_pipes(columns(summary), rows)]
    if finalists := finalist_table(summary):
        seeds = ", ".join(map(str, summary.final.seeds)) if summary.final else ""
        tables.append(f"Finalists, means over the seeds {seeds}:\n\n{_pipes(finalists[0], finalists[1:])}")
    return "\n".join(tables)


def _pipes(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(markdown_cell, line)) + " |\n" for line in (heads, *rows)]
    return "".join([lines[0], "|" + "---|" * len(heads) + "\n", *lines[1:]])


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

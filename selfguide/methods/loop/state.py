"""What the loop has made so far, and the checks that it can start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.loop import LoopConfig
from selfguide.core.errors import DataError
from selfguide.core.types import Example, TaskSpec
from selfguide.methods.loop.transfer import require_source
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate, drop_counts
from selfguide.synthesis.dataset import vanished_labels
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.proposing import Budget


@dataclass(frozen=True, slots=True)
class State:
    """Rows the loop began with (gold pairs, demonstrations) and every candidate made since, in order.

    `budget` is what is left of calls and tokens; `seeds` are kept whatever happens; `places` counts the
    label-conditioned proposals that were asked for.
    """

    seeds: tuple[Candidate, ...] = ()
    made: tuple[Candidate, ...] = ()
    budget: Budget = field(default_factory=Budget)
    places: int = 0

    @property
    def kept(self) -> list[Candidate]:
        """All rows that may be trained on."""
        return [*self.seeds, *(c for c in self.made if c.dropped is None)]

    def with_candidates(self, made: Sequence[Candidate], spent: Mapping[str, int], cost: int = 1) -> "State":
        """After another round of proposals, which took so many calls and tokens; one more item takes `cost` calls."""
        budget = self.budget.less(spent.get("calls", 0), spent.get("generated", 0)).closed_below(cost)
        return replace(self, made=(*self.made, *made), budget=budget)


def loop_config(session: Session) -> LoopConfig:
    """The method's configuration, checked when it was composed (`loop_problems`), and the run that it names."""
    config = session.config.method
    assert isinstance(config, LoopConfig)
    if config.initial_data.extra_rows_from_run is not None:
        require_source(session, config.initial_data.extra_rows_from_run)
    return config


def require_pool(session: Session, key: str) -> None:
    """Raise `DataError` if a step that needs gold was given none."""
    if not session.gold_pool:
        raise DataError(f"{key}: gold, but this run has no gold pool; the validation split without what is scored")


def round_notes(number: int, rows: int, made: Sequence[Candidate]) -> dict[str, Any]:
    """What a round added, for the result."""
    added = [candidate for candidate in made if candidate.round == number]
    return {
        "round": number,
        "rows": rows,
        "proposed": len(added),
        "kept": sum(candidate.dropped is None for candidate in added),
        "drops": drop_counts(added),
    }


def nothing_added(rounds: int, stopped: str, made: Sequence[Candidate], pairs: Sequence[Example]) -> Iterator[str]:
    """One line if rounds were asked for and none added a row: what was trained is then the seed data's student."""
    if not rounds or not pairs or any(candidate.round > 0 and candidate.dropped is None for candidate in made):
        return
    why = "no errors to extrapolate" if stopped == "no_errors" else f"no round added a row (ended by: {stopped})"
    yield f"{why}: trained on the seed data alone"


def warnings_of(task: TaskSpec, made: Sequence[Candidate], pairs: Sequence[Example]) -> Iterator[str]:
    """One line for each thing a user should know before believing the result."""
    if not pairs:
        yield from warnings_about(task, made, pairs)
        return
    counts = drop_counts(made)
    if counts and max(counts.values()) > len(made) / 2:
        reason = max(counts, key=lambda name: counts[name])
        yield f"{counts[reason]} of {len(made)} proposals were dropped for one reason: {reason}"
    lost = vanished_labels(task, pairs)
    if lost:
        yield f"no training pair has the label {', '.join(map(repr, lost))}: the student may never answer it"

"""What the loop has made so far, and the checks that it can start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.loop import LoopConfig, feedback_points
from selfguide.core.errors import DataError
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example
from selfguide.models.session import Session
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate, drop_counts
from selfguide.synthesis.dataset import vanished_labels
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.request_writer import AttributePool, RequestWriter


@dataclass(frozen=True)
class Loop:
    """What all steps of one run share."""

    session: Session
    config: LoopConfig

    @classmethod
    def of(cls, session: Session) -> "Loop":
        """By the method's configuration, which `loop_problems` checked."""
        config = session.config.method
        assert isinstance(config, LoopConfig)
        return cls(session, config)

    @property
    def seeds(self) -> SeedStream:
        """The loop's branch of the tree of seeds."""
        return SeedStream(self.session.config.seed, ("loop",))

    def writer(self, attributes: AttributePool) -> RequestWriter:
        """Of the proposal requests."""
        return RequestWriter(self.session.task, self.config, attributes, self.seeds)


@dataclass(frozen=True, slots=True)
class State:
    """Rows the loop began with (gold pairs, demonstrations) and every candidate made since, in order.

    `budget` is what is left of calls and tokens; `seeds` are kept whatever happens; `conditioned` counts the
    label-conditioned proposals that were requested.
    """

    seeds: tuple[Candidate, ...] = ()
    made: tuple[Candidate, ...] = ()
    budget: CallBudget = field(default_factory=CallBudget)
    conditioned: int = 0

    @property
    def kept(self) -> list[Candidate]:
        """All rows that may be trained on."""
        return [*self.seeds, *(c for c in self.made if c.dropped is None)]

    def with_candidates(self, made: Sequence[Candidate], budget: CallBudget) -> "State":
        """After another round of proposals, which left so much."""
        return replace(self, made=(*self.made, *made), budget=budget)


def targets(config: LoopConfig) -> list[int]:
    """How many rows there should be before each training, where the number grows by a schedule (ProGen)."""
    items = config.initial_data.items or 0
    if config.diagnose.source != "influence":
        return [items]
    feedback = config.propose.feedback
    points = feedback_points(feedback.start, feedback.cap, items)
    return [*points[: config.loop.rounds], items]


def last_round(config: LoopConfig) -> int:
    """The round after whose training the loop ends at the latest."""
    return len(targets(config)) - 1 if config.diagnose.source == "influence" else config.loop.rounds or 0


def require_pool(session: Session, key: str) -> None:
    """Raise `DataError` if a step that needs gold was given none."""
    if not session.gold_pool:
        raise DataError(f"{key}: gold, but this run has no gold pool (the validation split less the scored instances)")


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


def warnings_of(
    loop: Loop, state: State, pairs: Sequence[Example], history: Sequence[Mapping[str, Any]], ended: str
) -> Iterator[str]:
    """One line for each thing a user should know before believing the result; `history` are the notes of rounds."""
    task, made = loop.session.task, state.made
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
    diagnose = loop.config.diagnose
    scored = diagnose.score_above is None or any(notes.get("scored") for notes in history)
    if diagnose.source == "influence" and not scored:
        rows = diagnose.score_above
        yield f"no row was scored: no feedback point had more than {rows} rows to score, examples are random"
    if last_round(loop.config) and not any(candidate.round > 0 and candidate.dropped is None for candidate in made):
        why = "no errors to extrapolate" if ended == "no_errors" else f"no round added a row (ended by: {ended})"
        yield f"{why}: trained only on the seed data"

"""The loop's first data: demonstrations, gold pairs, generated pairs, or SELF-GUIDE's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfguide.config.loop import LoopConfig, feedback_points
from selfguide.core.types import Example
from selfguide.methods.annotator import annotate
from selfguide.methods.loop.state import State, require_pool
from selfguide.methods.loop.steps import proposals_stage
from selfguide.methods.loop.transfer import added_rows
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.proposing import Budget
from selfguide.synthesis.sampling import spread_over_labels
from selfguide.synthesis.slots import Bank, seed_slots
from selfguide.synthesis.stages import compose_dataset, propose_inputs

COMPOSED = ("balance", "max_rows")


def targets(config: LoopConfig) -> list[int]:
    """How many rows there should be before each training, where the number grows by a schedule (ProGen)."""
    items = config.initial_data.items or 0
    if config.diagnose.source != "influence":
        return [items]
    feedback = config.propose.feedback
    points = feedback_points(feedback.start, feedback.cap, items)
    return [*points[: config.loop.rounds], items]


def seeded(session: Session, config: LoopConfig, bank: Bank) -> State:
    """The state before the first training."""
    state = _own(session, config, bank)
    if config.initial_data.extra_rows_from_run is None:
        return state
    added = added_rows(session, config.initial_data.extra_rows_from_run, [row.input for row in state.kept])
    return replace(state, made=(*state.made, *added))


def _own(session: Session, config: LoopConfig, bank: Bank) -> State:
    state = State(budget=Budget(config.loop.calls, config.loop.tokens))
    if config.initial_data.source == "generated":
        return grown(session, config, bank, state, targets(config)[0], 0)
    if config.initial_data.source == "selfguide":
        return _selfguide(session, state)
    if config.initial_data.source == "demonstrations":
        return replace(state, seeds=_rows(session.task.demonstrations, "demonstration"))
    require_pool(session, "method.initial_data.source")
    size = config.initial_data.items or max(
        config.initial_data.min_items, int((config.initial_data.share or 0) * len(session.gold_pool))
    )
    pairs = spread_over_labels(session.gold_pool, session.task.labels, size, session.config.seed, "loop")
    return replace(state, seeds=_rows(pairs, "gold"))


def grown(
    session: Session,
    config: LoopConfig,
    bank: Bank,
    state: State,
    target: int,
    round_number: int,
    pool: Mapping[str, Sequence[Example]] | None = None,
) -> State:
    """The state with as many label-conditioned proposals as are missing to `target` rows.

    What was dropped is asked for anew, `seed.waves` times in all at most.
    """
    source = "generated" if pool is None else "feedback"
    for wave in range(1, config.initial_data.waves + 1):
        missing = target - len(state.kept)
        if missing <= 0 or state.budget.spent is not None:
            break
        # Places go on where the last wave ended, so that labels and conditions keep their turns.
        places = range(state.places, state.places + missing)
        slots = list(seed_slots(session.task, config, bank, places, round_number, session.config.seed, pool))
        state = proposals_stage(session, config, state, slots, round_number, source, wave)
        state = replace(state, places=places.stop)
    return state


def _rows(pairs: Sequence[Example], source: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(f"{source}-{place}", 0, pair.input, output=pair.output, source=source)
        for place, pair in enumerate(pairs)
    )


def _selfguide(session: Session, state: State) -> State:
    """SELF-GUIDE's candidates, voted and filtered. What its balance took out is back: the loop composes anew.

    As many inputs as `generation` says are asked for; the budget pays for them, and bounds the answers.
    """
    proposed = propose_inputs(session)
    spent = dict(proposed.info["tokens"])
    left = state.budget.less(spent.get("calls", 0), spent.get("generated", 0))
    answered = annotate(session, proposed.value, left)
    answers = answered.info["tokens"]
    _, marked = compose_dataset(session, answered.value)
    made = [
        replace(
            candidate,
            id=f"s{candidate.id}",
            round=0,
            source="selfguide",
            dropped=None if candidate.dropped in COMPOSED else candidate.dropped,
        )
        for candidate in marked
    ]
    total = {kind: spent.get(kind, 0) + answers.get(kind, 0) for kind in ("calls", "generated")}
    return state.with_candidates(made, total)

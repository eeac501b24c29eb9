"""The loop's first data: demonstrations, gold pairs, generated pairs, or SELF-GUIDE's own."""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.core.types import Example
from selfguide.methods.loop.state import Loop, State, require_pool, targets
from selfguide.methods.loop.steps import propose
from selfguide.methods.loop.transfer import added_rows
from selfguide.methods.selfguide import annotate
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.request_writer import ExamplePool, RequestWriter
from selfguide.synthesis.sampling import spread_over_labels
from selfguide.synthesis.stages import compose_dataset, propose_inputs

COMPOSED = ("balance", "max_rows")


def seed_state(loop: Loop, writer: RequestWriter) -> State:
    """The state before the first training."""
    state = _seed_data(loop, writer)
    source = loop.config.initial_data.extra_rows
    if source is None:
        return state
    added = added_rows(loop.session, source, [row.input for row in state.kept])
    return replace(state, made=(*state.made, *added))


def grow(
    loop: Loop, writer: RequestWriter, state: State, target: int, number: int, examples: ExamplePool | None = None
) -> State:
    """The state with as many label-conditioned proposals of round `number` as are missing to `target` rows.

    What was dropped is requested anew, `initial_data.waves` times in all at most.
    """
    for wave in range(1, loop.config.initial_data.waves + 1):
        missing = target - len(state.kept)
        if missing <= 0 or state.budget.spent is not None:
            break
        # Indices go on where the last wave ended, so that labels and conditions keep their turns.
        indices = range(state.conditioned, state.conditioned + missing)
        state = propose(loop, state, list(writer.conditioned(indices, number, examples)), wave)
        state = replace(state, conditioned=indices.stop)
    return state


def _seed_data(loop: Loop, writer: RequestWriter) -> State:
    session, config, initial = loop.session, loop.config, loop.config.initial_data
    state = State(budget=CallBudget(config.loop.calls, config.loop.tokens))
    if initial.source == "generated":
        return grow(loop, writer, state, targets(config)[0], 0)
    if initial.source == "selfguide":
        return _selfguide(loop, state)
    if initial.source == "demonstrations":
        return replace(state, seeds=_rows(session.task.demonstrations, "demonstration"))
    require_pool(session, "method.initial_data.source")
    size = initial.items or max(initial.min_items, int((initial.share or 0) * len(session.gold_pool)))
    pairs = spread_over_labels(session.gold_pool, session.task.labels, size, session.config.seed, "loop")
    return replace(state, seeds=_rows(pairs, "gold"))


def _rows(pairs: Sequence[Example], source: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(f"{source}-{index}", 0, pair.input, output=pair.output, source=source)
        for index, pair in enumerate(pairs)
    )


def _selfguide(loop: Loop, state: State) -> State:
    """SELF-GUIDE's candidates, voted and filtered. What its balance took out is back: the loop composes anew.

    As many inputs as `generation` says are requested; the budget pays for them, and bounds the answers.
    """
    proposed = propose_inputs(loop.session)
    left = state.budget.without(proposed.info["tokens"])
    answered = annotate(loop.session, proposed.value, left)
    _, candidates = compose_dataset(loop.session, answered.value)
    made = [
        replace(
            candidate,
            id=f"s{candidate.id}",
            round=0,
            source="selfguide",
            dropped=None if candidate.dropped in COMPOSED else candidate.dropped,
        )
        for candidate in candidates
    ]
    return state.with_candidates(made, left.without(answered.info["tokens"]))

"""The loop's steps that make data: attributes, proposals with their outputs, the rows of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfguide.core.types import Example
from selfguide.methods.loop.stages import AskAttributes, ComposeRows, ProposeItems
from selfguide.methods.loop.state import Loop, State, require_pool
from selfguide.methods.selfguide import annotate
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate, drop_counts
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.request_writer import AttributePool
from selfguide.synthesis.stages import decontaminated
from selfguide.synthesis.vote import elect


def plan_attributes(loop: Loop) -> AttributePool:
    """Conditions or reasons that the proposals will draw from: the model's, or those of known inputs."""
    from selfguide.synthesis.attributes import known_conditions

    plan, task, session = loop.config.attributes, loop.session.task, loop.session
    if plan.kind == "none" or (plan.kind == "rationales" and not task.labels):
        return AttributePool()
    if plan.kind == "conditions" and plan.source == "demonstrations":
        return known_conditions(task, [d.input for d in task.demonstrations])
    if plan.kind == "conditions" and plan.source == "gold":
        require_pool(session, "method.attributes.source")
        conditions = known_conditions(task, [pair.input for pair in session.gold_pool]).conditions
        count = len(conditions) if plan.items is None else min(plan.items, len(conditions))
        return AttributePool(tuple(loop.seeds.random_of("plan", "gold").sample(conditions, count)))
    return session.run("plan", AskAttributes(session.teacher, task, loop.config, session.config.seed)).value


def propose(loop: Loop, state: State, requests: Sequence[ProposalRequest], wave: int = 1) -> State:
    """The state with what was requested: proposed, judged, its outputs voted where none is inherited."""
    session, config, run = loop.session, loop.config, loop.session.config
    number = requests[0].round
    part = f"{number}" if wave == 1 else f"{number}_wave_{wave}"
    # The pool is known where all of it is diagnosed or conditioned on, not where the seed is a share of it.
    pool = session.gold_pool if "gold" in (config.diagnose.source, config.attributes.source) else ()
    known = [pair.input for pair in (*session.task.demonstrations, *pool)]
    joint = config.annotate.source == "joint"
    voted = config.annotate.source == "vote" or (not joint and any(request.label is None for request in requests))
    calls_per_kept = run.annotation.best_of if voted and state.budget.calls is not None else 0
    proposed = session.run(
        f"proposals_{part}",
        ProposeItems(
            model=session.teacher,
            task=session.task,
            requests=tuple(requests),
            propose=config.propose,
            rules=config.filter,
            filters=run.filters if config.filter.selfguide else None,
            known=(*known, *(seed.input for seed in state.seeds)),
            kept=tuple(candidate for candidate in state.made if candidate.dropped is None),
            budget=state.budget,
            calls_per_kept=calls_per_kept,
            seed=run.seed,
        ),
    )
    left = state.budget.without(proposed.info["tokens"])
    made, tokens = _with_outputs(loop, decontaminated(session, proposed.value), part, left)
    counts = drop_counts(made)
    session.terminal.drops(f"proposals (round {number})", counts, len(made) - sum(counts.values()))
    return state.with_candidates(made, left.without(tokens).closed_below(1 + calls_per_kept))


def _with_outputs(
    loop: Loop, made: Sequence[Candidate], part: str, budget: CallBudget
) -> tuple[list[Candidate], Mapping[str, int]]:
    """The candidates with an elected output, where they have none of their own or `annotate.source` is vote.

    Also the tokens that it took. Those that `budget` does not pay for are dropped.
    """
    session, voted = loop.session, loop.config.annotate.source == "vote"
    waiting = [replace(c, output=None) for c in made if c.dropped is None and (voted or c.output is None)]
    if not waiting:
        return list(made), {}
    answered = annotate(session, waiting, budget, f"outputs_{part}")
    elected = elect(session.task, answered.value, session.config.annotation, session.config.filters)
    by_id = {candidate.id: candidate for candidate in elected}
    return [by_id.get(candidate.id, candidate) for candidate in made], answered.info["tokens"]


def compose_rows(loop: Loop, state: State) -> tuple[Example, ...]:
    """The rows of a training: seed data, additions or both, balanced if asked for."""
    session, compose = loop.session, loop.config.compose
    seeds = [*state.seeds, *(c for c in state.made if c.round == 0)]
    added = [c for c in state.made if c.round > 0]
    chosen = {"all": [*seeds, *added], "initial": seeds, "added": added}[compose.train_on]
    if compose.train_on == "added" and not added:
        chosen = seeds  # the first student learns from something
    kept = tuple(candidate for candidate in chosen if candidate.dropped is None and candidate.output is not None)
    annotation = replace(session.config.annotation, balance=compose.balance, max_rows=loop.config.loop.rows)
    return session.run("dataset", ComposeRows(session.task, annotation, kept, session.config.seed)).value

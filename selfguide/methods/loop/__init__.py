"""Seed, plan, propose, annotate, filter, compose, train, diagnose, again: ZeroGen, ProGen, S3, GoldGen, LLM2LLM.

One loop; the methods differ in their configuration alone (`conf/method/`). A round trains a student
from fresh weights on all rows so far, finds what to make more of, and makes it.
"""

from collections.abc import Sequence
from typing import Any

from selfguide.config.loop import LoopConfig
from selfguide.core.types import Example
from selfguide.methods.loop.diagnose import Diagnosis, diagnose, held_out, helpful
from selfguide.methods.loop.influence import influence_of_rows
from selfguide.methods.loop.seed import grown, seeded, targets
from selfguide.methods.loop.state import State, loop_config, nothing_added, round_notes, warnings_of
from selfguide.methods.loop.steps import plan_stage, proposals_stage, rows_stage
from selfguide.methods.result import MethodResult
from selfguide.methods.student import Student, train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.dataset import marked
from selfguide.synthesis.slots import Bank, extrapolation_slots


def run(session: Session) -> MethodResult:
    """The loop that `method` configures."""
    config = loop_config(session)
    bank = plan_stage(session, config)
    state = seeded(session, config, bank)
    rounds = len(targets(config)) - 1 if config.diagnose.source == "influence" else config.loop.rounds or 0
    student, stopped = Student((), None, ()), "rounds"
    pairs: list[Example] = []
    history: list[dict[str, Any]] = []
    for number in range(rounds + 1):
        composed = rows_stage(session, config, state)
        history.append(round_notes(number, len(composed), state.made))
        ended = _ended(config, state, composed) or ("rounds" if number == rounds else None)
        if ended == "no_rows":
            stopped = ended
            break
        pairs = composed
        train, validation = pairs, list[Example]()
        if ended is None and config.diagnose.source == "influence":
            # What judges the rows is not trained on; the last student learns from all.
            train, validation = held_out(pairs, config.diagnose, session.config.seed)
        student = _trained(session, state, train, f"training_{number}", validation)
        if ended is not None:
            stopped = ended
            break
        found = _diagnosed(session, config, state, student, train, validation, number)
        history[-1] |= found.notes
        if config.diagnose.source != "influence" and not found.exemplars:
            stopped = "no_errors"
            break
        state = _extended(session, config, bank, state, found, number + 1)
    if student.rows:
        # What answers is the method's training, as in every other method.
        last = max(notes["round"] for notes in history if f"training_{notes['round']}" in session.stages)
        session.stages["training"] = session.stages.pop(f"training_{last}")
    warnings = list(warnings_of(session.task, state.made, pairs))
    least = config.diagnose.score_above
    if (
        pairs
        and config.diagnose.source == "influence"
        and least is not None
        and not any(n.get("scored") for n in history)
    ):
        warnings.append(
            f"no row was scored: no feedback point had more than {least} rows to score, examples are random"
        )
    made = MethodResult(
        status="ok" if pairs else "empty_dataset",
        candidates=marked(state.made, pairs, lambda _: "composition"),
        pairs=tuple(pairs),
        warnings=(*warnings, *nothing_added(rounds, stopped, state.made, pairs)),
        diagnostics={"rounds": history, "stopped": stopped},
    )
    return student.answers_for(made, session.config.finetuning.epochs) if pairs and trains(session) else made


def _ended(config: LoopConfig, state: State, pairs: Sequence[Example]) -> str | None:
    """Why the training on these rows is the last one, or None."""
    if not pairs:
        return "no_rows"
    if config.loop.rows is not None and len(pairs) >= config.loop.rows:
        return "rows"
    return state.budget.spent


def _trained(
    session: Session, state: State, pairs: Sequence[Example], name: str, validation: Sequence[Example]
) -> Student:
    """A student from fresh weights; one without rows where nothing is trained.

    Demonstrations among the rows are trained on as copies, so that none stands in its own prompt.
    """
    if not trains(session):
        return Student((), None, ())
    shown = set(session.task.demonstrations)
    others = [pair for pair in pairs if pair not in shown]
    copies = max(len(others) < len(pairs), session.config.finetuning.added_demonstrations)
    given = [Example(seed.input, seed.output or "") for seed in state.seeds]
    return train_student(session, others, name, copies, given, validation)


def _diagnosed(
    session: Session,
    config: LoopConfig,
    state: State,
    student: Student,
    train: Sequence[Example],
    validation: Sequence[Example],
    number: int,
) -> Diagnosis:
    if config.diagnose.source != "influence":
        return diagnose(session, config, state, student, number)
    if student.rows:
        # Curation or a budget may have left rows out; how they would have helped is not known.
        seen = set(student.rows)
        train = [pair for pair in train if pair in seen]
    # Few rows say little of each other: the pool is then all of them.
    least = config.diagnose.score_above
    few = least is None or len(train) <= least
    scores = None if few else influence_of_rows(session, student, train, validation, number)
    pool = helpful(train, scores, session.task.labels, config.diagnose.per_label)
    notes = {"pool": sum(map(len, pool.values())), "scored": 0 if scores is None else len(train)}
    return Diagnosis(pool=pool, notes=notes)


def _extended(session: Session, config: LoopConfig, bank: Bank, state: State, found: Diagnosis, number: int) -> State:
    if config.diagnose.source == "influence":
        return grown(session, config, bank, state, targets(config)[number], number, found.pool)
    slots = list(extrapolation_slots(session.task, config, found.exemplars, number, session.config.seed))
    return proposals_stage(session, config, state, slots, number, "extrapolated")

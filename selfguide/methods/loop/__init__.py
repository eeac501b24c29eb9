"""Seed, plan, propose, annotate, filter, compose, train, diagnose, again: ZeroGen, ProGen, S3, GoldGen, LLM2LLM.

One loop; the methods differ in their configuration alone (`conf/method/`). A round trains a student
from fresh weights on all rows so far, finds what to make more of, and makes it.
"""

from collections.abc import Sequence
from typing import Any

from selfguide.config.builtin import DIAGNOSERS
from selfguide.config.loop import LoopConfig
from selfguide.core.types import Example
from selfguide.methods.loop.diagnose import Diagnosis, held_out, helpful
from selfguide.methods.loop.influence import influence_of_rows
from selfguide.methods.loop.seed import grow, seed_state, targets
from selfguide.methods.loop.state import Loop, State, nothing_added, round_notes, warnings_of
from selfguide.methods.loop.steps import compose_rows, plan_attributes, propose
from selfguide.methods.result import MethodResult
from selfguide.methods.student import Student, train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.dataset import marked
from selfguide.synthesis.request_writer import RequestWriter


def run(session: Session) -> MethodResult:
    """The loop that `method` configures."""
    loop = Loop.of(session)
    config = loop.config
    writer = loop.writer(plan_attributes(loop))
    state = seed_state(loop, writer)
    rounds = len(targets(config)) - 1 if config.diagnose.source == "influence" else config.loop.rounds or 0
    student, stopped = Student((), None, ()), "rounds"
    pairs: tuple[Example, ...] = ()
    history: list[dict[str, Any]] = []
    for number in range(rounds + 1):
        composed = compose_rows(loop, state)
        history.append(round_notes(number, len(composed), state.made))
        ended = _ended(config, state, composed) or ("rounds" if number == rounds else None)
        if ended == "no_rows":
            stopped = ended
            break
        pairs = composed
        train: Sequence[Example] = pairs
        validation: Sequence[Example] = ()
        if ended is None and config.diagnose.source == "influence":
            # What judges the rows is not trained on; the last student learns from all.
            train, validation = held_out(pairs, config.diagnose, session.config.seed)
        student = _train(session, state, train, f"training_{number}", validation)
        if ended is not None:
            stopped = ended
            break
        diagnosis = _diagnose(loop, state, student, (train, validation), number)
        history[-1] |= diagnosis.notes
        if config.diagnose.source != "influence" and not diagnosis.exemplars:
            stopped = "no_errors"
            break
        state = _extend(loop, writer, state, diagnosis, number + 1)
    if student.rows:
        # What answers is the method's training, as in every other method.
        last = max(notes["round"] for notes in history if f"training_{notes['round']}" in session.stages)
        session.stages["training"] = session.stages.pop(f"training_{last}")
    warnings = list(warnings_of(session.task, state.made, pairs))
    score_above = config.diagnose.score_above
    if (
        pairs
        and config.diagnose.source == "influence"
        and score_above is not None
        and not any(n.get("scored") for n in history)
    ):
        warnings.append(
            f"no row was scored: no feedback point had more than {score_above} rows to score, examples are random"
        )
    made = MethodResult(
        status="ok" if pairs else "empty_dataset",
        candidates=marked(state.made, pairs, lambda _: "composition"),
        pairs=pairs,
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


def _train(
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


def _diagnose(
    loop: Loop, state: State, student: Student, split: tuple[Sequence[Example], Sequence[Example]], number: int
) -> Diagnosis:
    """What to make more of; `split` are the rows trained on, and those held out to judge them."""
    config = loop.config.diagnose
    if config.source != "influence":
        found: Diagnosis = DIAGNOSERS.load(config.source)(loop, state, student, number)
        return found
    train, validation = split
    if student.rows:
        # Curation or a budget may have left rows out; how they would have helped is not known.
        seen = set(student.rows)
        train = [pair for pair in train if pair in seen]
    # Few rows say little of each other: the pool is then all of them.
    few = config.score_above is None or len(train) <= config.score_above
    scores = None if few else influence_of_rows(loop.session, student, train, validation, number)
    pool = helpful(train, scores, loop.session.task.labels, config.per_label)
    notes = {"pool": sum(map(len, pool.values())), "scored": 0 if scores is None else len(train)}
    return Diagnosis(pool=pool, notes=notes)


def _extend(loop: Loop, writer: RequestWriter, state: State, diagnosis: Diagnosis, number: int) -> State:
    """The state with the proposals of round `number`."""
    if loop.config.diagnose.source == "influence":
        return grow(loop, writer, state, targets(loop.config)[number], number, diagnosis.pool)
    return propose(loop, state, list(writer.extrapolations(diagnosis.exemplars, number)))

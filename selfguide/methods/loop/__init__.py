"""Seed, plan, propose, annotate, filter, compose, train, diagnose, again: ZeroGen, ProGen, S3, GoldGen, LLM2LLM.

One loop; the methods differ in their configuration alone (`conf/method/`, where every departure is listed). A round
trains a student from fresh weights on all rows so far, finds what to make more of, and makes it.

ZeroGen (arXiv 2202.07922): subjects, then a text for each subject and label, which is the output; a small student is
trained. Here the student may be the language model itself, sizes are hundreds of rows, and a task with neither labels
nor a fixed part is voted on, having nothing to inherit.

ProGen (arXiv 2210.12329): ZeroGen in rounds; prompts show the rows that helped the student most, by influence on
other synthetic rows. Here the last student learns from all rows, and a causal student's rows are ranked by its loss, as
influence needs an encoder's gradients.

S3 (arXiv 2310.13671): seed data from reasons for each label; rounds extrapolate the student's errors on gold data. Here
gold is the pool that is never scored on, and an output is inherited only where label or passage is kept: elsewhere a
new input need not have the old one's output. GoldGen, its control, extrapolates gold whatever the student makes of it.

LLM2LLM (arXiv 2403.15042): a gold seed; the teacher writes problems with solutions like each seed row that the student
gets wrong. Here errors are of greedy answers to the training prompt, novelty is judged against all rounds, and attempts
are bounded, so that it ends and can be repeated.
"""

from collections.abc import Sequence
from typing import Any

from selfguide.core.types import Example
from selfguide.methods.loop.diagnose import Diagnosis, diagnose
from selfguide.methods.loop.influence import held_out
from selfguide.methods.loop.seed import grow, seed_state
from selfguide.methods.loop.state import Loop, State, last_round, round_notes, targets, warnings_of
from selfguide.methods.loop.steps import compose_rows, plan_attributes, propose
from selfguide.methods.result import MethodResult
from selfguide.methods.student import Student, train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.dataset import marked
from selfguide.synthesis.request_writer import RequestWriter


def run(session: Session) -> MethodResult:
    """The loop that `method` configures."""
    loop = Loop.of(session)
    writer = loop.writer(plan_attributes(loop))
    state = seed_state(loop, writer)
    pairs: tuple[Example, ...] = ()
    student, ended = Student((), None, ()), None
    history: list[dict[str, Any]] = []
    for number in range(last_round(loop.config) + 1):
        rows = compose_rows(loop, state)
        history.append(round_notes(number, len(rows), state.made))
        ended = _end(loop, state, rows, number)
        if ended == "no_rows":
            break
        pairs = rows
        train, validation = _split(loop, rows, last=ended is not None)
        # What answers is the method's training, as in every other method.
        name = "training" if ended is not None else f"training_{number}"
        student = _train(session, state, train, validation, name)
        if ended is not None:
            break
        diagnosis = diagnose(loop, state, student, (train, validation), number)
        history[-1] |= diagnosis.notes
        if not diagnosis.exemplars and loop.config.diagnose.source != "influence":
            ended = "no_errors"
            break
        state = _extend(loop, writer, state, diagnosis, number + 1)
    if student.training is not None:
        # Also where only its diagnosis showed that it is the last one.
        session.log.add("training", student.training)
    result = MethodResult(
        status="ok" if pairs else "empty_dataset",
        candidates=marked(state.made, pairs, lambda _: "composition"),
        pairs=pairs,
        warnings=tuple(warnings_of(loop, state, pairs, history, ended or "rounds")),
        diagnostics={"rounds": history, "stopped": ended or "rounds"},
    )
    return student.answers_for(result, session.config.finetuning.epochs) if pairs and trains(session) else result


def _end(loop: Loop, state: State, rows: Sequence[Example], number: int) -> str | None:
    """Why the training on these rows is the last one, or None."""
    wanted = loop.config.loop.rows
    if not rows:
        return "no_rows"
    if wanted is not None and len(rows) >= wanted:
        return "rows"
    return state.budget.spent or ("rounds" if number == last_round(loop.config) else None)


def _split(loop: Loop, rows: Sequence[Example], last: bool) -> tuple[Sequence[Example], Sequence[Example]]:
    """Rows to train on, and rows that judge them, which are not trained on; the last student learns from all."""
    config = loop.config.diagnose
    return (rows, ()) if last or config.source != "influence" else held_out(rows, config, loop.session.config.seed)


def _train(
    session: Session, state: State, pairs: Sequence[Example], validation: Sequence[Example], name: str
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


def _extend(loop: Loop, writer: RequestWriter, state: State, diagnosis: Diagnosis, number: int) -> State:
    """The state with the proposals of round `number`."""
    if loop.config.diagnose.source == "influence":
        return grow(loop, writer, state, targets(loop.config)[number], number, diagnosis.pool)
    return propose(loop, state, list(writer.extrapolations(diagnosis.exemplars, number)))

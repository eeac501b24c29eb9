"""What the loop makes more of: the student's errors, inputs whose votes disagree, or helpful synthetic pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.builtin import DIAGNOSERS
from selfguide.core.types import Example, Instance
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import BASE, Predict, Query, System
from selfguide.methods.loop.influence import helpful, influence_of_rows
from selfguide.methods.loop.state import Loop, State, require_pool
from selfguide.methods.student import Student
from selfguide.models.session import Session
from selfguide.synthesis.request_writer import ExamplePool, Exemplar
from selfguide.synthesis.vote import sample_share
from selfguide.tasks.metrics import score_task


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Exemplars for the next round (or a pool of examples by label), and figures for the result."""

    exemplars: tuple[Exemplar, ...] = ()
    pool: ExamplePool = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def diagnose(
    loop: Loop, state: State, student: Student, split: tuple[Sequence[Example], Sequence[Example]], number: int
) -> Diagnosis:
    """After training `number`; `split` are the rows trained on, and those held out to judge them."""
    source = loop.config.diagnose.source
    if source == "influence":
        return _by_influence(loop, student, split, number)
    found: Diagnosis = DIAGNOSERS.load(source)(loop, state, student, number)
    return found


def answers_of(session: Session, inputs: Sequence[str], student: System, number: int) -> list[str]:
    """The student's greedy answers, prompted exactly as an evaluation prompts. No demonstration is shown to itself."""
    task = session.task
    if student.weights is not None:
        trusted(session, student.weights)
    others = {shown.input: tuple(d for d in task.demonstrations if d is not shown) for shown in task.demonstrations}
    queries = tuple(
        Query(Instance(str(index), text, ()), replace(student, demonstrations=others.get(text, student.demonstrations)))
        for index, text in enumerate(inputs)
    )
    stage = Predict(session.student, task, session.config.evaluation, queries)
    return [prediction.text for prediction in session.run(f"diagnosis_{number}", stage).value]


def errors(loop: Loop, state: State, student: Student, number: int) -> Diagnosis:
    """Rows that the newest student answers wrongly."""
    session, rows = loop.session, _known_rows(loop, state)
    system = student.system(session.config.finetuning.epochs) if student.rows else BASE
    answers = answers_of(session, [row.input for row in rows], system, number)
    # A right answer by another reference is no error. Exemplars, which prompts show, have the first one alone.
    accepted = {(row.input, row.references[0]): row.references for row in session.gold_rows}
    scores = []
    for row, answer in zip(rows, answers, strict=True):
        references = accepted.get((row.input, row.output or ""), (row.output or "",))
        scores.append(score_task(session.task, answer, Instance(row.id, row.input, references)))
    wrong = [
        replace(row, wrong=answer)
        for row, answer, score in zip(rows, answers, scores, strict=True)
        if score < loop.config.diagnose.wrong_below
    ]
    mean = sum(scores) / len(scores) if scores else None
    return Diagnosis(
        _selected(loop, rows, wrong, number), notes={"diagnosed": len(rows), "errors": len(wrong), "score": mean}
    )


def disagreements(loop: Loop, state: State, student: Student, number: int) -> Diagnosis:
    """Inputs whose samples did not agree and that no earlier round extrapolated; their output is not known.

    The votes of the label that an input was written for say nothing of agreement: they are left out.
    """
    # Also those with a share of 0: no sample gave an answer.
    voted = [candidate for candidate in state.made if candidate.share is not None]
    used = {candidate.parent for candidate in state.made}
    session = loop.session
    shares = {
        Exemplar(candidate.id, candidate.input, None): sample_share(session.task, candidate, session.config.annotation)
        for candidate in voted
        if candidate.id not in used
    }
    unsure = [row for row, share in shares.items() if share < loop.config.diagnose.share_below]
    notes = {"diagnosed": len(voted), "errors": len(unsure), "score": None}
    return Diagnosis(_selected(loop, list(shares), unsure, number), notes=notes)


def _by_influence(
    loop: Loop, student: Student, split: tuple[Sequence[Example], Sequence[Example]], number: int
) -> Diagnosis:
    """Rows that help the student on the held-out ones (ProGen)."""
    config, (train, validation) = loop.config.diagnose, split
    if student.rows:
        # Curation or a budget may have left rows out; how they would have helped is not known.
        seen = set(student.rows)
        train = [pair for pair in train if pair in seen]
    # Few rows say little of each other: the pool is then all of them.
    few = config.score_above is None or len(train) <= config.score_above
    scores = None if few else influence_of_rows(loop.session, student, train, validation, number)
    pool = helpful(train, scores, loop.session.task.labels, config.per_label)
    return Diagnosis(
        pool=pool, notes={"pool": sum(map(len, pool.values())), "scored": 0 if scores is None else len(train)}
    )


def _known_rows(loop: Loop, state: State) -> list[Exemplar]:
    """The rows whose answers are known: the gold pool, or the seed data (and what was added to it)."""
    config, session = loop.config.diagnose, loop.session
    if config.source == "gold":
        require_pool(session, "method.diagnose.source")
        return [Exemplar(f"gold-{index}", pair.input, pair.output) for index, pair in enumerate(session.gold_pool)]
    rows = list(state.seeds)
    if config.restrict_to == "all":
        rows = state.kept
    elif not rows:
        rows = [candidate for candidate in state.kept if candidate.round == 0]
    return [Exemplar(row.id, row.input, row.output) for row in rows]


def _selected(loop: Loop, rows: Sequence[Exemplar], wrong: Sequence[Exemplar], number: int) -> tuple[Exemplar, ...]:
    """The errors, or of all rows as many as configured: at most `max_exemplars`, a seeded choice, in their order."""
    config, count = loop.config.diagnose, loop.config.diagnose.max_exemplars
    if config.select == "wrong":
        rows = wrong
    elif config.match_errors:
        count = len(wrong) if count is None else min(count, len(wrong))
    if count is None or count >= len(rows):
        return tuple(rows)
    chosen = loop.seeds.random_of("exemplars", number).sample(range(len(rows)), count)
    return tuple(rows[index] for index in sorted(chosen))

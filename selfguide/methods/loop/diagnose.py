"""What the loop makes more of: the student's errors, inputs whose votes disagree, or helpful synthetic pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.loop import DiagnoseConfig, LoopConfig, held_out_rows
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.types import Example, Instance
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import BASE, Predict, Query, System
from selfguide.methods.loop.state import Loop, State, require_pool
from selfguide.methods.student import Student
from selfguide.models.session import Session
from selfguide.synthesis.request_writer import Exemplar
from selfguide.synthesis.vote import sample_share
from selfguide.tasks.metrics import score_task


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Exemplars for the next round (or a pool of examples by label), and figures for the result."""

    exemplars: tuple[Exemplar, ...] = ()
    pool: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def diagnose(loop: Loop, state: State, student: Student, round_number: int) -> Diagnosis:
    """Errors of the newest student, or low agreement of the votes."""
    session, config = loop.session, loop.config
    if config.diagnose.source == "votes":
        return _by_votes(session, config.diagnose, state, round_number)
    rows = _diagnosed(session, config, state)
    system = student.system(session.config.finetuning.epochs) if student.rows else BASE
    answers = answers_of(session, [row.input for row in rows], system, round_number)
    # A right answer by another reference is no error. Exemplars, which prompts show, have the first one alone.
    accepted = {(row.input, row.references[0]): row.references for row in session.gold_rows}
    scores = [
        score_task(
            session.task,
            answer,
            Instance(row.id, row.input, accepted.get((row.input, row.output or ""), (row.output or "",))),
        )
        for row, answer in zip(rows, answers, strict=True)
    ]
    wrong = [
        replace(row, wrong=answer)
        for row, answer, score in zip(rows, answers, scores, strict=True)
        if score < config.diagnose.wrong_below
    ]
    notes = {
        "diagnosed": len(rows),
        "errors": len(wrong),
        "score": sum(scores) / len(scores) if scores else None,
    }
    return Diagnosis(_selected(rows, wrong, config.diagnose, session.config.seed, round_number), notes=notes)


def answers_of(session: Session, inputs: Sequence[str], student: System, round_number: int) -> list[str]:
    """The student's greedy answers, asked exactly as an evaluation asks. A demonstration is not shown to itself."""
    task = session.task
    if student.weights is not None:
        trusted(session, student.weights)
    others = {shown.input: tuple(d for d in task.demonstrations if d is not shown) for shown in task.demonstrations}
    queries = tuple(
        Query(Instance(str(index), text, ()), replace(student, demonstrations=others.get(text, student.demonstrations)))
        for index, text in enumerate(inputs)
    )
    stage = Predict(session.student, task, session.config.evaluation, queries)
    return [prediction.text for prediction in session.run(f"diagnosis_{round_number}", stage).value]


def held_out(pairs: Sequence[Example], config: DiagnoseConfig, seed: int) -> tuple[list[Example], list[Example]]:
    """Rows to train on and synthetic rows to judge them by (ProGen).

    Of many rows a fixed number, chosen among the first ones and so the same in every later round;
    before there are that many, a share.
    """
    first = list(pairs[: config.held_out_from]) if len(pairs) >= config.held_out_from else list(pairs)
    count = held_out_rows(config, len(pairs))
    ranked = sorted(range(len(first)), key=lambda place: child_seed(seed, "held out", pairs[place].input, place))
    chosen = set(ranked[:count])
    return (
        [pair for place, pair in enumerate(pairs) if place not in chosen],
        [pairs[place] for place in sorted(chosen)],
    )


def helpful(
    train: Sequence[Example], scores: Sequence[float] | None, labels: Sequence[str], per_label: int
) -> dict[str, tuple[Example, ...]]:
    """For each label the `per_label` rows of lowest (negative) score; without scores, all rows."""
    groups = labels or ("",)
    pool: dict[str, tuple[Example, ...]] = {}
    for label in groups:
        places = [place for place, pair in enumerate(train) if not labels or pair.output == label]
        if scores is not None:
            ranked = sorted((scores[place], place) for place in places if scores[place] < 0)
            places = [place for _, place in ranked[:per_label]]
        pool[label] = tuple(train[place] for place in places)
    return pool


def _diagnosed(session: Session, config: LoopConfig, state: State) -> list[Exemplar]:
    """The rows whose answers are known: the gold pool, or the seed data (and what was added to it)."""
    if config.diagnose.source == "gold":
        require_pool(session, "method.diagnose.source")
        return [Exemplar(f"gold-{place}", pair.input, pair.output) for place, pair in enumerate(session.gold_pool)]
    rows = list(state.seeds)
    if config.diagnose.restrict_to == "all":
        rows = state.kept
    elif not rows:
        rows = [candidate for candidate in state.kept if candidate.round == 0]
    return [Exemplar(row.id, row.input, row.output) for row in rows]


def _by_votes(session: Session, config: DiagnoseConfig, state: State, round_number: int) -> Diagnosis:
    """Inputs whose samples did not agree and that no earlier round extrapolated; their output is not known.

    The votes of the label that an input was asked for say nothing of agreement: they are left out.
    """
    voted = [candidate for candidate in state.made if candidate.share]
    used = {candidate.parent for candidate in state.made}
    shares = {
        Exemplar(candidate.id, candidate.input, None): sample_share(candidate, session.config.annotation)
        for candidate in voted
        if candidate.id not in used
    }
    unsure = [row for row, share in shares.items() if share < config.share_below]
    notes = {"diagnosed": len(voted), "errors": len(unsure), "score": None}
    return Diagnosis(_selected(list(shares), unsure, config, session.config.seed, round_number), notes=notes)


def _selected(
    rows: Sequence[Exemplar], wrong: Sequence[Exemplar], config: DiagnoseConfig, seed: int, round_number: int
) -> tuple[Exemplar, ...]:
    """The errors, or of all rows as many as asked for: at most `most`, by a seeded choice, in their order."""
    most = config.max_exemplars
    if config.select == "wrong":
        rows = wrong
    elif config.match_errors:
        most = len(wrong) if most is None else min(most, len(wrong))
    if most is None or most >= len(rows):
        return tuple(rows)
    places = sorted(child_random(seed, "loop", "exemplars", round_number).sample(range(len(rows)), most))
    return tuple(rows[place] for place in places)

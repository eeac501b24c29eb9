"""What the loop makes more of: the student's errors, inputs whose votes disagree, or helpful synthetic pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import BASE, Prediction, Query, System, predict
from selfguide.methods.loop.influence import helpful, influence_of_rows
from selfguide.methods.loop.state import Loop, State, require_pool
from selfguide.methods.student import Student
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Stage, StoredStage, Workspace, journal_tokens
from selfguide.synthesis.request_writer import ExamplePool, Exemplar
from selfguide.synthesis.vote import sample_share
from selfguide.tasks.metrics import score_task


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Exemplars for the next round (or a pool of examples by label), and figures for the result."""

    exemplars: tuple[Exemplar, ...] = ()
    pool: ExamplePool = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AnswerRows(Stage[tuple[str, ...]]):
    """A system's greedy answers, prompted exactly as an evaluation prompts. No demonstration is shown to itself."""

    kind: ClassVar[str] = "diagnosis"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    evaluation: EvaluationConfig
    inputs: tuple[str, ...]
    system: System

    def build(self, work: Workspace) -> dict[str, Any]:
        with work.journal() as journal, work.bar(work.name, len(self.inputs), "answers") as bar:
            if self.system.predictor is not None:
                texts = self.system.predictor.answer(self.inputs, journal, bar.advance)
            else:
                bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
                queries = [self._query(index, text) for index, text in enumerate(self.inputs)]
                predictions: list[Prediction] = []
                if queries:  # without one no engine is started
                    predictions = predict(self.model, self.task, self.evaluation, queries, journal, bar.advance)
                texts = [prediction.text for prediction in predictions]
            write_jsonl(work.path / "answers.jsonl", ({"text": text} for text in texts))
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> tuple[str, ...]:
        return tuple(row["text"] for row in read_jsonl(stored.path / "answers.jsonl"))

    def _query(self, index: int, text: str) -> Query:
        others = tuple(shown for shown in self.task.demonstrations if shown.input != text)
        alone = len(others) == len(self.task.demonstrations)
        system = self.system if alone else replace(self.system, demonstrations=others)
        return Query(Instance(str(index), text, ()), system)


def diagnose(
    loop: Loop, state: State, student: Student, split: tuple[Sequence[Example], Sequence[Example]], number: int
) -> Diagnosis:
    """After training `number`; `split` are the rows trained on, and those held out to judge them."""
    source = loop.config.diagnose.source
    if source == "influence":
        return _by_influence(loop, student, split, number)
    return _by_votes(loop, state, number) if source == "votes" else _by_errors(loop, state, student, number)


def answer_rows(session: Session, inputs: Sequence[str], system: System, number: int) -> tuple[str, ...]:
    """The answers of a system whose weights have passed the canary."""
    if system.weights is not None:
        trusted(session, system.weights)
    stage = AnswerRows(session.student, session.task, session.config.evaluation, tuple(inputs), system)
    return session.run(f"diagnosis_{number}", stage).value


def _by_errors(loop: Loop, state: State, student: Student, number: int) -> Diagnosis:
    """Rows that the newest student answers wrongly."""
    session, rows = loop.session, _known_rows(loop, state)
    system = student.system(session.config.finetuning.epochs) if student.rows else BASE
    answers = answer_rows(session, [row.input for row in rows], system, number)
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


def _by_votes(loop: Loop, state: State, number: int) -> Diagnosis:
    """Inputs whose samples did not agree and that no earlier round extrapolated; their output is not known.

    The votes of the label that an input was written for say nothing of agreement: they are left out.
    """
    voted = [candidate for candidate in state.made if candidate.share]
    used = {candidate.parent for candidate in state.made}
    shares = {
        Exemplar(candidate.id, candidate.input, None): sample_share(candidate, loop.session.config.annotation)
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

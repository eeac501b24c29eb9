"""What the loop makes more of: the student's errors, inputs whose votes disagree, or helpful synthetic pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.config.loop import DiagnoseConfig, LoopConfig, held_out_rows
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.types import Example, Instance
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import BASE, Query, System, predict
from selfguide.methods.loop.state import Loop, State, require_pool
from selfguide.methods.student import Student
from selfguide.models.session import Session
from selfguide.store import Journal, fingerprint, journal_tokens
from selfguide.synthesis.request_writer import Exemplar
from selfguide.synthesis.vote import sample_share
from selfguide.tasks.metrics import score_task


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Exemplars for the next round (or a pool of examples by label), and figures for the result."""

    exemplars: tuple[Exemplar, ...] = ()
    pool: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def errors(loop: Loop, state: State, student: Student, round_number: int) -> Diagnosis:
    """Errors of the newest student on rows whose answers are known."""
    session, config = loop.session, loop.config
    rows = _diagnosed(session, config, state)
    system = student.system(session.config.finetuning.epochs) if student.rows else BASE
    answers = answers_stage(session, [row.input for row in rows], system, round_number)
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


def answers_stage(session: Session, inputs: Sequence[str], student: System, round_number: int) -> list[str]:
    """The student's greedy answers, asked exactly as an evaluation asks. A demonstration is not shown to itself."""
    run, task = session.config, session.task
    if student.weights is not None:
        trusted(session, student.weights)
    spec = {
        **session.base_spec(1),
        "inputs": fingerprint(list(inputs)),
        "student": student.stage_identity,
        "evaluation": knobs_of(run.evaluation, "predictions"),
    }
    del spec["seed"]

    def build(work: Path) -> dict[str, Any]:
        answers: list[str] = [""] * len(inputs)
        spent = {"prompt": 0, "generated": 0, "calls": 0}
        groups = _by_context(session, inputs)
        with session.terminal.bar(f"diagnosis (round {round_number})", len(inputs), "answers") as bar:
            for number, (shown, places) in enumerate(groups):
                with Journal(work / f"journal-{number}.jsonl") as journal:
                    if student.predictor is not None:
                        texts = student.predictor.answer([inputs[place] for place in places], journal, bar.advance)
                    else:
                        asked = [Instance(str(place), inputs[place], ()) for place in places]
                        bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
                        variant = student if shown is None else replace(student, demonstrations=shown)
                        queries = [Query(instance, variant) for instance in asked]
                        given = predict(session.student, task, run.evaluation, queries, journal, bar.advance)
                        texts = [prediction.text for prediction in given]
                    for kind, count in journal_tokens(journal).items():
                        spent[kind] += count
                for place, text in zip(places, texts, strict=True):
                    answers[place] = text
        write_jsonl(work / "answers.jsonl", ({"text": text} for text in answers))
        return {"tokens": spent}

    stage = session.stage(f"diagnosis_{round_number}", "diagnosis", spec, build)
    return [row["text"] for row in read_jsonl(stage.path / "answers.jsonl")]


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


def disagreements(loop: Loop, state: State, student: Student, round_number: int) -> Diagnosis:
    """Inputs whose samples did not agree and that no earlier round extrapolated; their output is not known.

    The votes of the label that an input was asked for say nothing of agreement: they are left out.
    """
    session, config = loop.session, loop.config.diagnose
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


def _by_context(session: Session, inputs: Sequence[str]) -> list[tuple[tuple[Example, ...] | None, list[int]]]:
    """Places of the inputs with the demonstrations that each is to be shown (None: the task's)."""
    shown = {d.input: d for d in session.task.demonstrations}
    plain = [place for place, text in enumerate(inputs) if text not in shown]
    groups: list[tuple[tuple[Example, ...] | None, list[int]]] = [(None, plain)] if plain else []
    for place, text in enumerate(inputs):
        if text in shown:
            groups.append((tuple(d for d in session.task.demonstrations if d is not shown[text]), [place]))
    return groups

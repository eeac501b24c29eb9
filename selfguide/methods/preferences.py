"""What `finetuning.objective=dpo | orpo` trains on: winners of the vote, preferred to its losers.

As in ScPO (arXiv 2411.04109), the output that most samples agree on is preferred to the one that fewest do; DPO
(arXiv 2305.18290) or ORPO (arXiv 2403.07691) trains on these pairs, after supervised training or in its place. Not as
published: a pair's loss is not weighted by the lead of its winner, which only has to reach `margin`; there is one
round (`method=rest` makes more); supervised training comes first by default.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from selfguide.core.types import Example, TaskSpec
from selfguide.methods.student import Student, train_student
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.vote import likelihood
from selfguide.tasks.metrics import answer_in
from selfguide.training.preference_stage import Prefer, Preference


def train_by_objective(
    session: Session, pairs: Sequence[Example], candidates: Sequence[Candidate], name: str = "training"
) -> Student:
    """A student of `pairs`, and of what the votes of `candidates` prefer where `finetuning.objective` says so.

    Without a preference it is the supervised one, and the run warns.
    """
    settings = session.config.finetuning
    own = settings.preference
    found = [] if settings.objective == "sft" else preferences(session.task, candidates, own.margin)
    if settings.objective != "sft" and not found:
        session.warn_once(
            f"finetuning.objective={settings.objective}: no vote had a loser, so there is nothing to prefer"
        )
    if not found:
        return train_student(session, pairs, name)
    student = train_student(session, pairs, f"{name}_sft") if own.after_sft else Student((), None, ())
    start = student.epochs[settings.epochs - 1] if student.epochs else None
    if own.after_sft and start is None:
        return student  # curation left nothing: as in every other run
    stage = Prefer(session.student, session.task, tuple(found), settings, session.config.seed, start)
    trained = session.run(name, stage)
    session.terminal.say(f"{settings.objective}: {len(found)} preferences of {len(candidates)} candidates")
    rows = student.rows or tuple(dict.fromkeys(Example(row.input, row.chosen) for row in found))
    return replace(student, epochs=trained.value.epochs[-1:], rows=rows, training=trained.stored)


def preferences(task: TaskSpec, candidates: Sequence[Candidate], margin: float) -> list[Preference]:
    """One of each kept candidate whose output leads its loser by `margin` of the votes; the label asked for has none.

    The loser is the answer with fewest votes, of those the likeliest: the error that the model is surest of.
    """
    found = []
    for candidate in candidates:
        if candidate.dropped is not None or candidate.output is None:
            continue
        winner = answer_in(task, candidate.output)
        voters = [sample for sample in candidate.samples if sample.answer is not None]
        votes = Counter(sample.answer for sample in voters)
        losers = [sample for sample in voters if sample.answer != winner]
        if not losers:
            continue
        loser = min(losers, key=lambda sample: (votes[sample.answer], -likelihood(sample), sample.text))
        if votes[winner] - votes[loser.answer] >= max(margin * len(voters), 1):
            found.append(Preference(candidate.input, candidate.output, _text(task, loser)))
    return found


def _text(task: TaskSpec, sample: Sample) -> str:
    return str(sample.answer) if task.is_classification else sample.text.strip()

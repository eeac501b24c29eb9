"""Finetuning on the demonstrations alone, without synthetic data (SELF-GUIDE's baseline, arXiv 2407.12874).

Each demonstration is a training row whose context holds the others, so that the answer is not in its own prompt. What
differs: each is repeated `finetuning.demonstration_copies` times, as a handful of rows would be a step or two.
"""

from selfguide.methods.result import MethodResult
from selfguide.methods.student import train_student, trains
from selfguide.models.session import Session


def run(session: Session) -> MethodResult:
    """Train on `finetuning.demonstration_copies` copies of each demonstration, here the rows that a budget bounds."""
    settings = session.config.finetuning
    made = MethodResult(pairs=session.task.demonstrations)
    if not trains(session):
        return made
    shown = session.task.demonstrations
    rows = shown * settings.demonstration_copies
    student = train_student(session, rows, "few_shot_finetune", copies=0, given=shown)
    return student.answers_for(made, settings.epochs)

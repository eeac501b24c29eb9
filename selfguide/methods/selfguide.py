"""SELF-GUIDE (paper section 3): the model makes its own data, then learns from it.

Each step is a stage whose result is handed to the next; `selfguide.pipeline` evaluates what comes out.
"""

from dataclasses import replace

from selfguide.methods.annotator import annotate
from selfguide.methods.result import MethodResult
from selfguide.methods.student import train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.stages import Dataset, compose_dataset, propose_inputs


def run(session: Session) -> MethodResult:
    """New inputs, outputs by vote, filters and balance, finetuning. Sees the demonstrations only."""
    dataset = synthesize(session)
    result = MethodResult(
        candidates=dataset.candidates,
        pairs=dataset.pairs,
        warnings=tuple(warnings_about(session.task, dataset.candidates, dataset.pairs)),
    )
    if not dataset.pairs:
        return replace(result, status="empty_dataset")
    if not trains(session):
        return result
    student = train_student(session, dataset.pairs)
    return student.answers_for(result, session.config.finetuning.epochs)


def synthesize(session: Session) -> Dataset:
    """The first four steps: propose inputs, judge them, annotate, compose."""
    proposed = propose_inputs(session)
    annotated = annotate(session, proposed.value)
    return compose_dataset(session, annotated.value)

"""SELF-GUIDE (paper section 3): the model makes its own data, then learns from it."""

from dataclasses import replace

from selfguide.engines.base import Weights
from selfguide.methods.outcome import Outcome
from selfguide.methods.student import train_student, trains
from selfguide.session import Session
from selfguide.stages import dataset_stage, inputs_stage, outputs_stage, training_stage
from selfguide.synthesis.inspect import warnings_about


def run(session: Session) -> Outcome:
    """New inputs, outputs by vote, filters and balance, finetuning. Sees the demonstrations only."""
    proposed = inputs_stage(session)
    annotated = outputs_stage(session, proposed, annotator(session))
    pairs, candidates = dataset_stage(session, annotated)
    made = Outcome(
        candidates=tuple(candidates),
        pairs=tuple(pairs),
        warnings=tuple(warnings_about(session.task, candidates, pairs)),
    )
    if not pairs:
        return replace(made, status="empty_dataset")
    if not trains(session):
        return made
    return train_student(session, pairs).answers_for(made, session.config.finetuning.epochs)


def annotator(session: Session) -> Weights | None:
    """Whose answers vote: the base model's (None), or those of the model finetuned on the demonstrations alone."""
    settings = session.config.finetuning
    if session.config.annotation.annotator == "base" or settings.kind == "none":
        return None
    rows = session.task.demonstrations * settings.demonstration_copies
    return training_stage(session, "annotator", rows, leave_one_out=True).epochs[settings.epochs - 1]

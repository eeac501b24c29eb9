"""SELF-GUIDE (paper section 3): the model makes its own data, then learns from it."""

from dataclasses import replace

from selfguide.methods.annotator import annotate
from selfguide.methods.outcome import Outcome
from selfguide.methods.student import train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.stages import compose_dataset, propose_inputs


def run(session: Session) -> Outcome:
    """New inputs, outputs by vote, filters and balance, finetuning. Sees the demonstrations only."""
    proposed = propose_inputs(session).value
    answered = annotate(session, proposed).value
    pairs, candidates = compose_dataset(session, answered)
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

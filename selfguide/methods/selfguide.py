"""SELF-GUIDE (paper section 3): the model makes its own data, then learns from it."""

from selfguide.methods.outcome import Outcome
from selfguide.session import Session
from selfguide.stages import dataset_stage, inputs_stage, outputs_stage, training_stage
from selfguide.synthesis.inspect import warnings_about


def run(session: Session) -> Outcome:
    """New inputs, outputs by vote, filters and balance, finetuning. Sees the demonstrations only."""
    proposed = inputs_stage(session)
    annotated = outputs_stage(session, proposed)
    pairs, candidates = dataset_stage(session, annotated)
    warnings = tuple(warnings_about(session.task, candidates, pairs))
    made = {"candidates": tuple(candidates), "pairs": tuple(pairs), "warnings": warnings}
    if not pairs:
        return Outcome(status="empty_dataset", **made)
    if session.config.finetuning.kind == "none":
        return Outcome(**made)
    trained = training_stage(session, "training", pairs)
    return Outcome(weights=trained.epochs[session.config.finetuning.epochs - 1], **made)

"""Whose answers vote, and how many inputs they are asked for: one place for every method that votes."""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.evaluation.canary import trusted
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.proposing import Budget
from selfguide.synthesis.stages import outputs_stage
from selfguide.training.stages import training_stage


def annotated(session: Session, candidates: Sequence[Candidate], budget: Budget | None = None) -> list[Candidate]:
    """The candidates with the annotator's sampled answers to the accepted inputs.

    An input that `budget` does not pay for (`annotation.best_of` calls each) is dropped with the reason `budget`.
    """
    budget = budget or Budget()
    payable = budget.items(session.config.annotation.best_of)
    accepted = [c.id for c in candidates if c.dropped is None]
    beyond = set() if payable is None else set(accepted[payable:])
    cut = [replace(c, dropped="budget") if c.id in beyond else c for c in candidates]
    weights = annotator(session) if len(beyond) < len(accepted) else None
    return answered(session, cut, weights, budget.tokens)


def answered(
    session: Session, candidates: Sequence[Candidate], weights: Weights | None = None, tokens: int | None = None
) -> list[Candidate]:
    """The candidates with sampled answers, once finetuned `weights` that give them have passed the canary."""
    if weights is not None:
        trusted(session, weights)
    return outputs_stage(session, candidates, weights, tokens)


def annotator(session: Session) -> Weights | None:
    """Whose answers vote: the base model's (None), or those of the model finetuned on the demonstrations alone."""
    settings = session.config.finetuning
    if session.config.annotation.annotator == "base" or settings.kind == "none":
        return None
    rows = session.task.demonstrations * settings.demonstration_copies
    first = session.stages.get("annotator")
    weights = training_stage(session, "annotator", rows, leave_one_out=True).epochs[settings.epochs - 1]
    if first is not None:
        session.stages["annotator"] = first  # a later round finds what this run may have computed
    return weights

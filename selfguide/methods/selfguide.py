"""SELF-GUIDE (arXiv 2407.12874, section 3): the model makes its own data, then learns from it.

From the instruction and a few demonstrations the model writes inputs (for a label, where there are labels) and answers
each several times; filters and the vote leave pairs, and the model is finetuned on them, shown the demonstrations as an
evaluation shows them. What differs by default: adapters instead of all weights, shares of all answers asked for instead
of those that passed the filters, lengths by the demonstrations; `protocol=paper` has every number of the reference, and
the differences stand in `conf/`. Each step is a stage whose result is handed to the next; `selfguide.pipeline`
evaluates what comes out.
"""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.evaluation.canary import trusted
from selfguide.methods.preferences import train_by_objective
from selfguide.methods.result import MethodResult, result_of
from selfguide.methods.student import trains
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import Finished
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.stages import Candidates, Dataset, annotate_inputs, compose_dataset, propose_inputs
from selfguide.training.stages import train


def run(session: Session) -> MethodResult:
    """New inputs, outputs by vote, filters and balance, finetuning. Sees the demonstrations only."""
    dataset = synthesize(session)
    result = result_of(session.task, dataset)
    if not dataset.pairs or not trains(session):
        return result
    student = train_by_objective(session, dataset.pairs, dataset.candidates)
    return student.answers_for(result, session.config.finetuning.epochs)


def synthesize(session: Session) -> Dataset:
    """The first four steps: propose inputs, judge them, annotate, compose."""
    proposed = propose_inputs(session)
    annotated = annotate(session, proposed.value)
    return compose_dataset(session, annotated.value)


def annotate(
    session: Session, candidates: Sequence[Candidate], budget: CallBudget | None = None, name: str = "outputs"
) -> Finished[Candidates]:
    """The candidates with the annotator's sampled answers to the accepted inputs.

    An input that `budget` does not pay for (`annotation.best_of` calls each) is dropped with the reason `budget`.
    """
    budget = budget or CallBudget()
    payable = budget.items(session.config.annotation.best_of)
    accepted = [c.id for c in candidates if c.dropped is None]
    beyond = set() if payable is None else set(accepted[payable:])
    cut = [replace(c, dropped="budget") if c.id in beyond else c for c in candidates]
    weights = annotator(session) if len(beyond) < len(accepted) else None
    return annotate_with(session, cut, weights, budget.tokens, name)


def annotate_with(
    session: Session,
    candidates: Sequence[Candidate],
    weights: Weights | None = None,
    tokens: int | None = None,
    name: str = "outputs",
) -> Finished[Candidates]:
    """The candidates with sampled answers, once finetuned `weights` that give them have passed the canary."""
    if weights is not None:
        trusted(session, weights)
    return annotate_inputs(session, candidates, weights, tokens, name)


def annotator(session: Session) -> Weights | None:
    """Whose answers vote: the base model's (None), or those of the model finetuned on the demonstrations alone."""
    settings = session.config.finetuning
    if session.config.annotation.annotator == "base" or settings.kind == "none":
        return None
    rows = session.task.demonstrations * settings.demonstration_copies
    return train(session, "annotator", rows, leave_one_out=True).value.epochs[settings.epochs - 1]

"""ReST and STaR: sample answers, keep what is accepted, finetune the base model on it, sample with that, again.

ReST (arXiv 2308.08998), in the form of ReST-EM (arXiv 2312.06585), and STaR (arXiv 2203.14465). Each round samples
answers to all inputs, by the base model (or the annotator) first and by the newest student after; accepts some; and
trains a student from the base model. Here the vote accepts, so that inputs may be the model's own or the user's and no
gold is read: people without labels have neither the published learned reward nor gold answers. `accept=gold` (STaR)
claims the gold pool, takes its inputs and accepts right answers; `rationalize` then samples anew, with the answer as a
hint, what had none, and trains on the reasoning without the hint.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from selfguide.config.methods import RestConfig
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example
from selfguide.evaluation.canary import trusted
from selfguide.methods.preferences import train_by_objective
from selfguide.methods.rest_stages import AcceptAnswers, Rationalize
from selfguide.methods.result import MethodResult, result_of
from selfguide.methods.selfguide import annotator
from selfguide.methods.student import trains
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.synthesis.acceptance import Acceptance
from selfguide.synthesis.candidates import Candidate, proposals
from selfguide.synthesis.sampling import spread_over_labels
from selfguide.synthesis.stages import AnnotateInputs, Candidates, Dataset, decontaminated, propose_inputs
from selfguide.tasks.metrics import answer_in


def run(session: Session) -> MethodResult:
    """`method.rounds` times: sample, accept, train. The last student answers."""
    config = session.config.method
    assert isinstance(config, RestConfig)
    candidates, references = _inputs(session, config)
    acceptance = Acceptance(config.per_input, config.wrong_below, references)
    weights, history = annotator(session), list[dict[str, Any]]()
    result = MethodResult()
    for number in range(1, config.rounds + 1):
        dataset = _accept(session, acceptance, _sampled(session, candidates, weights, number), number)
        if config.rationalize:
            dataset = _rationalized(session, acceptance, dataset, weights, number)
        history.append(_notes(number, dataset))
        if not dataset.pairs and number > 1:
            said = f"round {number} accepted no answer: the student of round {number - 1} answers"
            result = replace(result, warnings=(*result.warnings, said))
            break
        result = _learned(session, dataset, number)
        weights = result.weights
        if weights is None:
            break
    return replace(result, diagnostics={"rounds": history})


def _learned(session: Session, dataset: Dataset, number: int) -> MethodResult:
    """What a round's answers make of the base model."""
    made = result_of(session.task, dataset)
    if not dataset.pairs or not trains(session):
        return made
    student = train_by_objective(session, dataset.pairs, dataset.candidates, f"training_{number}")
    if student.training is not None:
        session.log.add("training", student.training)  # the newest is what answers
    return student.answers_for(made, session.config.finetuning.epochs)


def _inputs(session: Session, config: RestConfig) -> tuple[Candidates, Mapping[str, tuple[str, ...]] | None]:
    """New or given inputs; or those of the gold pool with their accepted answers by id."""
    if config.accept == "vote":
        return decontaminated(session, propose_inputs(session).value), None
    known = {Example(row.input, row.references[0]): row.references for row in session.gold_rows}
    labels, seed = session.task.labels, session.config.seed
    rows = spread_over_labels(session.gold_pool, labels, config.items, seed, "rest")
    made = tuple(Candidate(f"gold-{index}", 0, row.input, source="gold") for index, row in enumerate(rows))
    return made, {candidate.id: known[row] for candidate, row in zip(made, rows, strict=True)}


def _sampled(session: Session, candidates: Candidates, weights: Weights | None, number: int) -> Candidates:
    """The candidates with this round's answers, by the teacher or by `weights` of the student."""
    if weights is not None:
        trusted(session, weights)
    config = session.config
    stage = AnnotateInputs(
        model=session.teacher if weights is None else session.student,
        task=session.task,
        annotation=config.annotation,
        temperature=config.temperature.output,
        # The first round's answers are SELF-GUIDE's.
        seed=config.seed if number == 1 else child_seed(config.seed, "rest", number),
        candidates=candidates,
        weights=weights,
    )
    return session.run("outputs" if number == 1 else f"outputs_{number}", stage).value


def _accept(session: Session, acceptance: Acceptance, candidates: Candidates, number: int) -> Dataset:
    config = session.config
    stage = AcceptAnswers(session.task, config.annotation, config.filters, config.seed, candidates, acceptance)
    return session.run(f"accepted_{number}", stage).value


def _rationalized(
    session: Session, acceptance: Acceptance, dataset: Dataset, weights: Weights | None, number: int
) -> Dataset:
    """The data set with, for inputs that had no right answer, right ones that were sampled with a hint."""
    assert acceptance.references is not None
    task, config = session.task, session.config
    failed = tuple(
        replace(candidate, samples=(), dropped=None, source="rationalized")
        for candidate in dataset.candidates
        if candidate.dropped == "no_right_answer"
    )
    if not failed:
        return dataset
    hints = {c.id: acceptance.references[c.id][0] for c in failed}
    stage = Rationalize(
        model=session.teacher if weights is None else session.student,
        task=task,
        annotation=config.annotation,
        temperature=config.temperature.output,
        seed=child_seed(config.seed, "rationalize", number),
        candidates=failed,
        weights=weights,
        hints={name: answer_in(task, text) or text for name, text in hints.items()},
    )
    made = {candidate.id: candidate for candidate in session.run(f"rationalized_{number}", stage).value}
    # Composed anew, so that balance and bounds see all rows; the first answers are judged as they were.
    rows = [made.get(c.id, _unjudged(c)) for c in proposals(dataset.candidates)]
    return _accept(session, acceptance, tuple(rows), number)


def _unjudged(candidate: Candidate) -> Candidate:
    """As it was before its answers were judged; what was dropped earlier stays so."""
    return replace(candidate, output=None, share=None, dropped=None) if candidate.accepted else candidate


def _notes(number: int, dataset: Dataset) -> dict[str, Any]:
    """What a round sampled and kept, for the result."""
    asked = [c for c in proposals(dataset.candidates) if c.share is not None]
    kept = [c for c in asked if c.output is not None]
    return {
        "round": number,
        "asked": len(asked),
        "accepted": len(kept),
        "rationalized": sum(c.source == "rationalized" for c in kept),
        "share": sum(c.share or 0.0 for c in asked) / len(asked) if asked else None,
        "rows": len(dataset.pairs),
    }

"""SELF-GUIDE's stages up to the training pairs, each bound to the store: what is in it is found.

A stage's spec names everything its content depends on and nothing else: see `selfguide.store`.
The numbers are versions of the code; raise one when a stage's output changes for the same spec.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import Stage
from selfguide.store.journal import Journal
from selfguide.store.stages import fingerprint, journal_tokens
from selfguide.synthesis.candidates import Candidate, drop_counts


def inputs_stage(session: Session) -> list[Candidate]:
    """Steps 1 and 2: proposals, judged."""
    from selfguide.synthesis.inputs import propose_inputs
    from selfguide.synthesis.streaming import stream_inputs

    config = session.config
    propose = stream_inputs if config.generation.schedule == "streaming" else propose_inputs
    spec = {
        **session.base_spec(1, session.teacher),
        "generation": knobs_of(config.generation, "inputs"),
        "filters": knobs_of(config.filters, "inputs"),
        "task_noise_terms": list(session.task.noise_terms),
        "temperature": config.temperature.input,
    }

    def build(work: Path) -> dict[str, Any]:
        generation = config.generation
        with (
            Journal(work / "journal.jsonl") as journal,
            session.terminal.bar("new inputs", generation.rounds, "rounds") as bar,
        ):
            bar.resume(len(journal.rows))
            candidates = propose(
                session.teacher.engine,
                session.teacher.tokenizer,
                session.task,
                generation,
                config.filters,
                config.temperature.input,
                config.seed,
                journal,
                lambda _, proposed, accepted: bar.advance(1, proposed=proposed, accepted=accepted),
            )
            write_jsonl(work / "candidates.jsonl", (c.to_row() for c in candidates))
            return {"tokens": journal_tokens(journal)}

    stage = session.stage("inputs", "inputs", spec, build)
    candidates = candidates_in(stage)
    accepted = sum(c.dropped is None for c in candidates)
    session.terminal.drops("new inputs", drop_counts(candidates), accepted)
    return candidates


def outputs_stage(
    session: Session, candidates: Sequence[Candidate], weights: Weights | None = None, tokens: int | None = None
) -> list[Candidate]:
    """Step 3: sampled answers to the accepted inputs, by the teacher or by its finetuned `weights`.

    With `tokens`, no batch is begun once so many were generated.
    """
    from selfguide.synthesis.outputs import annotate

    config = session.config
    spec = {
        **session.base_spec(1, session.teacher),
        "inputs": fingerprint([(c.id, c.input) for c in candidates if c.dropped is None]),
        "annotation": knobs_of(config.annotation, "outputs"),
        "temperature": config.temperature.output,
        **({} if weights is None else {"weights": weights.name}),
        **({} if tokens is None else {"tokens": tokens, "batch": config.annotation.batch}),
    }

    def build(work: Path) -> dict[str, Any]:
        total = sum(c.dropped is None for c in candidates)
        with Journal(work / "journal.jsonl") as journal, session.terminal.bar("outputs", total, "inputs") as bar:
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            annotated = annotate(
                session.teacher.engine,
                session.teacher.tokenizer,
                session.task,
                candidates,
                config.annotation,
                config.temperature.output,
                config.seed,
                journal,
                bar.advance,
                weights,
                tokens,
            )
            write_jsonl(work / "candidates.jsonl", (c.to_row() for c in annotated))
            return {"tokens": journal_tokens(journal)}

    # The key knows the accepted inputs alone: what was dropped before is the caller's, not that of whoever came first.
    answered = {c.id: c for c in candidates_in(session.stage("outputs", "outputs", spec, build))}
    return [
        c if c.dropped is not None else replace(c, samples=answered[c.id].samples, dropped=answered[c.id].dropped)
        for c in candidates
    ]


def dataset_stage(session: Session, candidates: Sequence[Candidate]) -> tuple[list[Example], list[Candidate]]:
    """Step 4: vote, filters, balance. Costs no model call."""
    from selfguide.synthesis.dataset import compose
    from selfguide.synthesis.vote import elect

    config = session.config
    candidates = decontaminated(session, candidates)
    spec = {
        "version": 1,
        "outputs": session.stages["outputs"].key,
        "contaminated": [c.id for c in candidates if c.dropped == "contaminated"],
        "annotation": knobs_of(config.annotation, "dataset"),
        "filters": knobs_of(config.filters, "dataset"),
        "task_noise_terms": list(session.task.noise_terms),
        "label_extraction": session.task.label_extraction,
        "seed": config.seed,
    }

    def build(work: Path) -> None:
        elected = elect(session.task, candidates, config.annotation, config.filters)
        pairs, marked = compose(session.task, elected, config.annotation, config.seed)
        write_jsonl(work / "candidates.jsonl", (c.to_row() for c in marked))
        write_jsonl(work / "dataset.jsonl", ({"input": p.input, "output": p.output} for p in pairs))

    stage = session.stage("dataset", "dataset", spec, build)
    judged = {c.id: c for c in candidates_in(stage)}
    marked = [c if c.dropped is not None else judged[c.id] for c in candidates]
    pairs = [Example(**row) for row in read_jsonl(stage.path / "dataset.jsonl")]
    answered = [new for old, new in zip(candidates, marked, strict=True) if old.dropped is None]
    session.terminal.drops("outputs", drop_counts(answered), sum(c.dropped is None for c in answered))
    return pairs, marked


def decontaminated(session: Session, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, those found in the evaluation split dropped (`filters.decontaminate=drop`)."""
    found = frozenset[int]() if session.sealed is None else session.sealed([c.input for c in candidates])
    return [
        replace(candidate, dropped="contaminated") if place in found and candidate.dropped is None else candidate
        for place, candidate in enumerate(candidates)
    ]


def candidates_in(stage: Stage) -> list[Candidate]:
    """What a stage wrote as its `candidates.jsonl`."""
    return [Candidate.from_row(row) for row in read_jsonl(stage.path / "candidates.jsonl")]

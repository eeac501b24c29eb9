"""The stages of a run, each bound to the store: what is in it is found, what is not is computed.

A stage's spec names everything its content depends on and nothing else: see `selfguide.store`.
The numbers are versions of the code; raise one when a stage's output changes for the same spec.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfguide.config.schema import TRAINING_PLACE, FinetuningConfig
from selfguide.engines.base import Weights
from selfguide.session import Session, fields_of
from selfguide.store import Stage
from selfguide.store.atomic import Journal, canonical_json, read_jsonl, write_jsonl
from selfguide.synthesis.candidates import Candidate, drop_counts
from selfguide.types import Example

INPUT_FILTERS = (
    "strip_quotes", "input_length", "length_sigmas", "length_floor", "length_fallback", "noise", "noise_terms",
    "duplicates", "near_duplicates",
)  # fmt: skip
OUTPUT_FILTERS = (
    "strip_quotes", "output_length", "length_sigmas", "length_floor", "length_fallback", "noise", "noise_terms",
)  # fmt: skip
ELECTION = ("samples", "min_share", "share_of", "asked_label_votes")
COMPOSITION = ("balance", "max_rows")
# The weights of every epoch are kept; what was dropped or added shows in the pairs.
SAME_TRAINING = (*TRAINING_PLACE, "epochs", "over_length", "demonstration_copies", "added_demonstrations")


def inputs_stage(session: Session) -> list[Candidate]:
    """Steps 1 and 2: proposals, judged."""
    from selfguide.synthesis.inputs import propose_inputs
    from selfguide.synthesis.streaming import stream_inputs

    config = session.config
    propose = stream_inputs if config.generation.schedule == "streaming" else propose_inputs
    spec = {
        **session.base_spec(1, session.teacher),
        "generation": fields_of(
            config.generation, without=() if config.generation.schedule == "streaming" else ("max_in_flight",)
        ),
        "filters": fields_of(config.filters, only=INPUT_FILTERS),
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
    from selfguide.evaluation.canary import trusted
    from selfguide.synthesis.outputs import annotate

    if weights is not None:
        trusted(session, weights)
    config = session.config
    spec = {
        **session.base_spec(1, session.teacher),
        "inputs": fingerprint([(c.id, c.input) for c in candidates if c.dropped is None]),
        "annotation": fields_of(config.annotation, without=(*ELECTION, *COMPOSITION, "batch", "annotator")),
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
        "annotation": fields_of(config.annotation, only=(*ELECTION, *COMPOSITION)),
        "filters": fields_of(config.filters, only=OUTPUT_FILTERS),
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


@dataclass(frozen=True, slots=True)
class Trained:
    """Finetuned weights after each epoch, and what the training saw."""

    epochs: tuple[Weights, ...]
    rows: int
    over_length: int


def training_stage(
    session: Session,
    name: str,
    pairs: Sequence[Example],
    *,
    leave_one_out: bool = False,
    finetuning: FinetuningConfig | None = None,
) -> Trained:
    """Step 5: the same model, finetuned on `pairs` with the demonstrations in context.

    `finetuning` stands in for the run's own. `leave_one_out` is for pairs that are the demonstrations
    themselves: none stands in its own context.
    """
    from selfguide.finetuning.weights import weights_of

    config = replace(session.config, finetuning=finetuning or session.config.finetuning)
    spec = {
        **session.base_spec(version=2),
        "pairs": fingerprint([(p.input, p.output) for p in pairs]),
        "leave_one_out": leave_one_out,
        "finetuning": fields_of(config.finetuning, without=SAME_TRAINING),
    }
    del spec["engine"]

    def build(work: Path) -> dict[str, Any]:
        from selfguide.finetuning.rows import build_rows, show_row
        from selfguide.finetuning.trainer import finetune, steps_per_epoch

        write_jsonl(work / "pairs.jsonl", ({"input": p.input, "output": p.output} for p in pairs))
        built = build_rows(session.task, pairs, session.tokenizer, config.finetuning, config.seed, leave_one_out)
        session.terminal.say(f"first training row ({name}); the model learns what stands between « and »:")
        session.terminal.say(show_row(built.rows[0], session.tokenizer))
        session.free_device()
        total = steps_per_epoch(config.finetuning, len(built.rows)) * config.finetuning.max_epochs
        with session.terminal.bar(f"finetuning ({name})", total, "steps") as bar:
            result = finetune(config, session.tokenizer, built.rows, work, config.seed, bar)
        return {
            "rows": len(built.rows),
            "over_length": built.over_length,
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
        }

    stage = session.stage(name, "training", spec, build)
    epochs = tuple(
        weights_of(stage.path / f"epoch-{epoch}", config.finetuning)
        for epoch in range(1, config.finetuning.max_epochs + 1)
    )
    return Trained(epochs, stage.info["rows"], stage.info["over_length"])


def candidates_in(stage: Stage) -> list[Candidate]:
    """What a stage wrote as its `candidates.jsonl`."""
    return [Candidate.from_row(row) for row in read_jsonl(stage.path / "candidates.jsonl")]


def journal_tokens(journal: Journal) -> dict[str, int]:
    """Model calls of a stage and the tokens they took, over all the runs that worked on it."""
    counts = [row["tokens"] for row in journal.rows]
    kinds = ("prompt", "generated", "calls")
    # A journal that an earlier version began has no calls: then they are not known, and not given.
    known = min((len(count) for count in counts), default=len(kinds))
    return {kind: sum(count[place] for count in counts) for place, kind in enumerate(kinds[:known])}


def fingerprint(value: Any) -> str:
    """Hash of any JSON value, for a stage spec."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:20]

"""The loop's steps that call the teacher, each bound to the store: plan, proposals, outputs; and the data set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.config.loop import LoopConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.methods.annotator import annotate
from selfguide.methods.loop.state import State, require_pool
from selfguide.models.session import Session
from selfguide.store import Journal, fingerprint, journal_tokens
from selfguide.synthesis.bank import fill_bank, known_conditions
from selfguide.synthesis.candidates import Candidate, drop_counts
from selfguide.synthesis.dataset import compose
from selfguide.synthesis.judge import Judge
from selfguide.synthesis.proposing import Budget, fill
from selfguide.synthesis.slots import Bank, Slot
from selfguide.synthesis.stages import decontaminated, read_candidates
from selfguide.synthesis.vote import elect
from selfguide.tasks.context import opening


def plan_stage(session: Session, config: LoopConfig) -> Bank:
    """Conditions or reasons that the proposals will draw from."""
    plan, task = config.attributes, session.task
    if plan.kind == "none" or (plan.kind == "rationales" and not task.labels):
        return Bank()
    if plan.kind == "conditions" and plan.source == "demonstrations":
        return known_conditions(task, [d.input for d in task.demonstrations])
    if plan.kind == "conditions" and plan.source == "gold":
        require_pool(session, "method.attributes.source")
        found = known_conditions(task, [pair.input for pair in session.gold_pool]).conditions
        stream = child_random(session.config.seed, "loop", "plan", "gold")
        return Bank(tuple(stream.sample(found, len(found) if plan.items is None else min(plan.items, len(found)))))
    spec = {
        **session.base_spec(1, session.teacher),
        "plan": knobs_of(plan, "plan"),
        "show_demonstrations": config.propose.show_demonstrations,
        "batch": config.propose.batch,
        "context_until": task.context_until,
    }
    name = opening(task)
    if name is not None:
        spec["opening"] = name

    def build(work: Path) -> dict[str, Any]:
        with Journal(work / "journal.jsonl") as journal, session.terminal.bar("plan", None, "calls") as bar:
            teacher = session.teacher
            bank = fill_bank(teacher.engine, teacher.tokenizer, task, config, session.config.seed, journal, bar.advance)
            rows = [{"label": None, "text": text} for text in bank.conditions]
            rows += [{"label": label, "text": text} for label, texts in bank.reasons.items() for text in texts]
            write_jsonl(work / "bank.jsonl", rows)
            return {"tokens": journal_tokens(journal)}

    stage = session.stage("plan", "plan", spec, build)
    rows = list(read_jsonl(stage.path / "bank.jsonl"))
    reasons: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row["label"] is not None:
            reasons[row["label"]] = (*reasons.get(row["label"], ()), row["text"])
    return Bank(tuple(row["text"] for row in rows if row["label"] is None), reasons)


def proposals_stage(
    session: Session,
    config: LoopConfig,
    state: State,
    slots: Sequence[Slot],
    round_number: int,
    source: str,
    wave: int = 1,
) -> State:
    """The state with what the slots asked for: proposed, judged, its outputs voted where none is inherited."""
    task, run = session.task, session.config
    part = f"{round_number}" if wave == 1 else f"{round_number}_wave_{wave}"
    known = [*(d.input for d in task.demonstrations), *(p.input for p in session.gold_pool)]
    known += [seed.input for seed in state.seeds]
    kept = [candidate for candidate in state.made if candidate.dropped is None]
    current = [slot.exemplar for slot in slots if slot.exemplar is not None]
    joint = config.annotate.source == "joint"
    voted = config.annotate.source == "vote" or (not joint and any(slot.label is None for slot in slots))
    votes = run.annotation.best_of if voted and state.budget.calls is not None else 0
    spec = {
        # 2: a reply that repeats its fixed part is read without it.
        **session.base_spec(1 if task.context_until is None else 2, session.teacher),
        "slots": fingerprint([asdict(slot) for slot in slots]),
        "propose": knobs_of(config.propose, "proposals"),
        "round": round_number,
        "source": source,
        "filter": knobs_of(config.filter, "proposals"),
        "filters": knobs_of(run.filters, "proposals") if config.filter.selfguide else {},
        "task_noise_terms": list(task.noise_terms) if config.filter.selfguide else [],
        "label_extraction": task.label_extraction,
        "context_until": task.context_until,
        "known": fingerprint(known),
        "kept": fingerprint([(candidate.input, candidate.output) for candidate in kept]),
        "budget": asdict(state.budget),
        **({"votes": votes} if votes else {}),
    }

    def build(work: Path) -> dict[str, Any]:
        judge = Judge(task, config.filter, run.filters, known, kept, current)
        with (
            Journal(work / "journal.jsonl") as journal,
            session.terminal.bar(f"proposals (round {round_number})", None, "items") as bar,
        ):
            made = fill(
                session.teacher.engine,
                session.teacher.tokenizer,
                slots,
                config.propose,
                judge,
                round_number,
                source,
                run.seed,
                state.budget,
                journal,
                bar.advance,
                votes,
            )
            write_jsonl(work / "candidates.jsonl", (candidate.to_row() for candidate in made))
            return {"tokens": journal_tokens(journal)}

    stage = session.stage(f"proposals_{part}", "proposals", spec, build)
    asked = stage.info["tokens"]
    left = state.budget.less(asked.get("calls", 0), asked.get("generated", 0))
    made, spent = _with_outputs(session, config, decontaminated(session, read_candidates(stage)), part, left)
    tokens = {kind: asked.get(kind, 0) + spent.get(kind, 0) for kind in ("calls", "generated")}
    counts = drop_counts(made)
    session.terminal.drops(f"proposals (round {round_number})", counts, len(made) - sum(counts.values()))
    return state.with_candidates(made, tokens, 1 + votes)


def _with_outputs(
    session: Session, config: LoopConfig, made: Sequence[Candidate], part: str, budget: Budget
) -> tuple[list[Candidate], Mapping[str, int]]:
    """The candidates with an elected output, where they have none of their own or `annotate.source` is vote.

    Those that `budget` does not pay for are dropped.
    """
    voted = config.annotate.source == "vote"
    asked = [replace(c, output=None) for c in made if c.dropped is None and (voted or c.output is None)]
    if not asked:
        return list(made), {}
    answered = annotate(session, asked, budget, f"outputs_{part}")
    elected = elect(session.task, answered.value, session.config.annotation, session.config.filters)
    by_id = {candidate.id: candidate for candidate in elected}
    return [by_id.get(candidate.id, candidate) for candidate in made], answered.info["tokens"]


def rows_stage(session: Session, config: LoopConfig, state: State) -> list[Example]:
    """The rows of a training: seed data, additions or both, balanced if asked for."""
    seeds = [*state.seeds, *(c for c in state.made if c.round == 0)]
    added = [c for c in state.made if c.round > 0]
    chosen = {"all": [*seeds, *added], "initial": seeds, "added": added}[config.compose.train_on]
    if config.compose.train_on == "added" and not added:
        chosen = seeds  # the first student learns from something
    kept = [candidate for candidate in chosen if candidate.dropped is None and candidate.output is not None]
    annotation = replace(session.config.annotation, balance=config.compose.balance, max_rows=config.loop.rows)
    spec = {
        "version": 1,
        "rows": fingerprint([(candidate.input, candidate.output) for candidate in kept]),
        "balance": config.compose.balance,
        "max_rows": config.loop.rows,
        "labels": list(session.task.labels),
        "seed": session.config.seed,
    }

    def build(work: Path) -> None:
        pairs, _ = compose(session.task, kept, annotation, session.config.seed)
        write_jsonl(work / "dataset.jsonl", ({"input": p.input, "output": p.output} for p in pairs))

    stage = session.stage("dataset", "loop_dataset", spec, build)
    return [Example(**row) for row in read_jsonl(stage.path / "dataset.jsonl")]

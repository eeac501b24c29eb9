"""SELF-GUIDE's stages up to the training pairs: propose inputs, annotate them, compose the data set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from selfguide.config.family import input_temperature
from selfguide.config.schema import AnnotationConfig, FiltersConfig, GenerationConfig
from selfguide.core.files import read_examples, read_jsonl, write_examples, write_jsonl
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import TokenCount, Weights
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Finished, Stage, StoredStage, Workspace, journal_tokens, keyed
from selfguide.synthesis.candidates import Candidate, drop_counts

Candidates = tuple[Candidate, ...]


class Dataset(NamedTuple):
    """Training pairs, and all candidates they were chosen from with the reasons why the others were not."""

    pairs: tuple[Example, ...]
    candidates: Candidates


@dataclass(frozen=True)
class TokenLimit:
    """No batch is begun once so many tokens were generated; where that is depends on the batches' size."""

    tokens: int
    batch: int


def accepted(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """(id, input) of the candidates that go on: all that their answers depend on."""
    return [(candidate.id, candidate.input) for candidate in candidates if candidate.dropped is None]


def answered(candidates: Sequence[Candidate]) -> list[tuple[Any, ...]]:
    """The same with the labels they were written for and their answers: all that votes and filters look at."""
    return [
        # As text: a server that gives no log-probabilities leaves NaN.
        (c.id, c.input, c.label, [(sample.text, repr(sample.logprob), sample.dropped) for sample in c.samples])
        for c in candidates
        if c.dropped is None
    ]


@dataclass(frozen=True)
class ProposeInputs(Stage[Candidates]):
    """Steps 1 and 2: the model writes new inputs, filters judge them (paper sections 3.1 and 3.4).

    Where the user gave inputs (`TaskSpec.inputs`), those are taken, and no model is asked.
    """

    kind: ClassVar[str] = "inputs"
    version: ClassVar[int] = 2

    model: LanguageModel
    task: TaskSpec
    generation: GenerationConfig
    filters: FiltersConfig
    temperature: float
    seed: int

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.synthesis.earlier import adopt_rounds
        from selfguide.synthesis.inputs import InputProposer, given_inputs

        if self.task.inputs:
            write_candidates(work, given_inputs(self.task, self.filters))
            return {"tokens": TokenCount().as_info()}
        proposer = InputProposer(self.model, self.task, self.generation, self.filters, self.temperature, self.seed)
        with work.journal() as journal, work.bar("new inputs", self.generation.rounds, "rounds") as bar:
            if self.generation.schedule == "rounds":
                adopt_rounds(journal, work.path, self.generation.rounds)
            bar.resume(len(journal.rows))
            candidates = proposer.propose(
                journal, lambda proposed, accepted: bar.advance(1, proposed=proposed, accepted=accepted)
            )
            write_candidates(work, candidates)
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> Candidates:
        return read_candidates(stored)


@dataclass(frozen=True)
class AnnotateInputs(Stage[Candidates]):
    """Step 3: sampled answers to the accepted inputs, by the model or its finetuned `weights` (paper section 3.2)."""

    kind: ClassVar[str] = "outputs"
    version: ClassVar[int] = 2

    model: LanguageModel
    task: TaskSpec
    annotation: AnnotationConfig
    temperature: float
    seed: int
    candidates: Candidates = field(metadata=keyed(accepted))
    weights: Weights | None = None
    limit: TokenLimit | None = None

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.synthesis.outputs import Annotator

        annotator = Annotator(self.model, self.task, self.annotation, self.temperature, self.seed, self.weights)
        with work.journal() as journal, work.bar("outputs", len(accepted(self.candidates)), "inputs") as bar:
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            max_tokens = None if self.limit is None else self.limit.tokens
            annotated = annotator.annotate(self.candidates, journal, bar.advance, max_tokens)
            write_candidates(work, annotated)
            return {"tokens": journal_tokens(journal)}

    def reads(self) -> Iterable[Path]:
        return () if self.weights is None else (self.weights.path,)

    def load(self, stored: StoredStage) -> Candidates:
        # The key knows the accepted inputs alone: what was dropped before is this caller's, not the first one's.
        new = {c.id: c for c in read_candidates(stored)}
        return tuple(
            c if c.dropped is not None else replace(c, samples=new[c.id].samples, dropped=new[c.id].dropped)
            for c in self.candidates
        )


@dataclass(frozen=True)
class ComposeDataset(Stage[Dataset]):
    """Step 4: vote, filters, balance (paper sections 3.3 and 3.4). Costs no model call."""

    kind: ClassVar[str] = "dataset"
    version: ClassVar[int] = 3

    task: TaskSpec
    annotation: AnnotationConfig
    filters: FiltersConfig
    seed: int
    candidates: Candidates = field(metadata=keyed(answered))

    def build(self, work: Workspace) -> None:
        from selfguide.synthesis.dataset import compose
        from selfguide.synthesis.vote import elect

        elected = elect(self.task, self.candidates, self.annotation, self.filters)
        pairs, candidates = compose(self.task, elected, self.annotation, self.seed)
        write_candidates(work, candidates)
        write_examples(work.path / "dataset.jsonl", pairs)

    def load(self, stored: StoredStage) -> Dataset:
        pairs = read_examples(stored.path / "dataset.jsonl")
        judged = {c.id: c for c in read_candidates(stored)}
        return Dataset(pairs, tuple(c if c.dropped is not None else judged[c.id] for c in self.candidates))


def propose_inputs(session: Session) -> Finished[Candidates]:
    """New inputs by the teacher, judged."""
    config = session.config
    temperature = input_temperature(config, session.task.family)
    stage = ProposeInputs(session.teacher, session.task, config.generation, config.filters, temperature, config.seed)
    done = session.run("inputs", stage)
    session.terminal.drops("new inputs", drop_counts(done.value), len(accepted(done.value)))
    return done


def annotate_inputs(
    session: Session,
    candidates: Sequence[Candidate],
    weights: Weights | None = None,
    tokens: int | None = None,
    name: str = "outputs",
) -> Finished[Candidates]:
    """The candidates with answers to the accepted inputs, by the teacher or by its finetuned `weights`.

    With `tokens`, no batch is begun once so many were generated.
    """
    config = session.config
    stage = AnnotateInputs(
        model=session.teacher,
        task=session.task,
        annotation=config.annotation,
        temperature=config.temperature.output,
        seed=config.seed,
        candidates=tuple(candidates),
        weights=weights,
        limit=None if tokens is None else TokenLimit(tokens, config.annotation.batch),
    )
    return session.run(name, stage)


def compose_dataset(session: Session, candidates: Sequence[Candidate]) -> Dataset:
    """The training pairs of answered candidates; those found in the evaluation split are dropped first."""
    config = session.config
    clean = decontaminated(session, candidates)
    dataset = session.run(
        "dataset", ComposeDataset(session.task, config.annotation, config.filters, config.seed, clean)
    ).value
    judged = [new for old, new in zip(clean, dataset.candidates, strict=True) if old.dropped is None]
    session.terminal.drops("outputs", drop_counts(judged), len(accepted(judged)))
    return dataset


def decontaminated(session: Session, candidates: Sequence[Candidate]) -> Candidates:
    """The candidates, those found in the evaluation split dropped (`filters.decontaminate=drop`)."""
    check = session.overlap_check
    overlapping = frozenset[int]() if check is None else check([c.input for c in candidates])
    return tuple(
        replace(candidate, dropped="contaminated") if index in overlapping and candidate.dropped is None else candidate
        for index, candidate in enumerate(candidates)
    )


def write_candidates(work: Workspace, candidates: Sequence[Candidate]) -> None:
    """As a stage's `candidates.jsonl`."""
    write_jsonl(work.path / "candidates.jsonl", (candidate.to_row() for candidate in candidates))


def read_candidates(stored: StoredStage) -> Candidates:
    """What a stage wrote as its `candidates.jsonl`."""
    return tuple(Candidate.from_row(row) for row in read_jsonl(stored.path / "candidates.jsonl"))

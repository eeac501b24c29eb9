"""The stages of ReST and STaR (arXiv 2308.08998, 2203.14465) that SELF-GUIDE has not: acceptance, rationalisation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from selfguide.config.identity import knobs_of
from selfguide.config.schema import AnnotationConfig, FiltersConfig
from selfguide.core.files import read_examples, write_examples
from selfguide.core.types import TaskSpec
from selfguide.models.base import Weights
from selfguide.models.session import LanguageModel
from selfguide.store import Stage, StoredStage, Workspace, journal_tokens, keyed
from selfguide.synthesis.acceptance import Acceptance
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.stages import Candidates, Dataset, accepted, answered, read_candidates, write_candidates


def _rule(acceptance: Acceptance) -> list[Any]:
    references = acceptance.references
    return [acceptance.per_input, acceptance.wrong_below, references and list(references.items())]


def _of(kind: str) -> Mapping[str, Any]:
    """A configuration of which the stages of this kind, SELF-GUIDE's, say what counts."""
    return keyed(lambda node: knobs_of(node, kind))


@dataclass(frozen=True)
class AcceptAnswers(Stage[Dataset]):
    """The accepted answers as training pairs, balanced. Costs no model call."""

    kind: ClassVar[str] = "accepted"
    version: ClassVar[int] = 2

    task: TaskSpec
    annotation: AnnotationConfig = field(metadata=_of("dataset"))
    filters: FiltersConfig = field(metadata=_of("dataset"))
    seed: int
    candidates: Candidates = field(metadata=keyed(answered))
    acceptance: Acceptance = field(metadata=keyed(_rule))

    def build(self, work: Workspace) -> None:
        from selfguide.synthesis.dataset import compose

        rows = self.acceptance.accept(self.task, self.candidates, self.annotation, self.filters)
        pairs, candidates = compose(self.task, rows, self.annotation, self.seed)
        write_candidates(work, candidates)
        write_examples(work.path / "dataset.jsonl", pairs)

    def load(self, stored: StoredStage) -> Dataset:
        # The key knows the answered candidates alone: what was dropped before is this caller's.
        rows: dict[str, list[Candidate]] = {}
        for candidate in read_candidates(stored):
            rows.setdefault(candidate.parent or candidate.id, []).append(candidate)
        judged = [row for c in self.candidates for row in ([c] if c.dropped is not None else rows[c.id])]
        pairs = read_examples(stored.path / "dataset.jsonl")
        return Dataset(pairs, tuple(judged))


@dataclass(frozen=True)
class Rationalize(Stage[Candidates]):
    """Sampled answers to inputs whose answer stands in the prompt as a hint (STaR, section 3.2)."""

    kind: ClassVar[str] = "rationalized"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    annotation: AnnotationConfig = field(metadata=_of("outputs"))
    temperature: float
    seed: int
    candidates: Candidates = field(metadata=keyed(accepted))
    weights: Weights | None
    hints: Mapping[str, str] = field(metadata=keyed(lambda hints: list(hints.items())))

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.synthesis.outputs import Annotator

        asked = Annotator(self.model, self.task, self.annotation, self.temperature, self.seed, self.weights, self.hints)
        with work.journal() as journal, work.bar("rationalized", len(self.candidates), "inputs") as bar:
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            write_candidates(work, asked.annotate(self.candidates, journal, bar.advance))
            return {"tokens": journal_tokens(journal)}

    def reads(self) -> Iterable[Path]:
        return () if self.weights is None else (self.weights.path,)

    def load(self, stored: StoredStage) -> Candidates:
        return read_candidates(stored)

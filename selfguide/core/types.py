"""The nouns of the method. Plain frozen data; no behaviour, no dependencies.

What is *not* here matters too: `TaskSpec` is everything a method may see of a task. The gold
instances live in `selfguide.tasks.gold`, and synthesis is never handed that object.
"""

from dataclasses import dataclass, field
from typing import Literal

Family = Literal["classification", "generation"]
LabelExtraction = Literal["exact", "first_line", "last_occurrence", "reference"]
Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """An (input, output) pair: a demonstration or a synthetic training pair."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One gold instance of an evaluation split; `references` holds at least one accepted output."""

    id: str
    input: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All that a method may know of a task: no gold beyond the demonstrations.

    `labels` is empty for generation. `noise_terms` are the task's own phrases that mark a
    synthetic text as an artefact, beside the general ones. `context_until` marks the end of an
    input's fixed part (premise, passage): see `selfguide.tasks.context`. `inputs` are the user's own,
    unlabelled: they stand in for those that a method would write. `affects` names the stages
    whose content a field decides, as a configuration's knobs do; what prompts show affects all.
    """

    name: str = field(metadata={"affects": frozenset()})
    family: Family
    instruction: str
    demonstrations: tuple[Example, ...]
    labels: tuple[str, ...] = ()
    metric: str = field(
        default="exact_match",
        metadata={"affects": frozenset({"dataset", "accepted", "rationalized", "ratings", "prompt"})},
    )
    label_extraction: LabelExtraction = field(
        default="first_line",
        metadata={"affects": frozenset({"dataset", "accepted", "rationalized", "ratings", "prompt", "proposals"})},
    )
    noise_terms: tuple[str, ...] = field(
        default=(), metadata={"affects": frozenset({"inputs", "proposals", "dataset", "accepted"})}
    )
    context_until: str | None = field(default=None, metadata={"affects": frozenset({"plan", "proposals", "encoder"})})
    inputs: tuple[str, ...] = field(default=(), metadata={"affects": frozenset({"inputs"})})

    @property
    def is_classification(self) -> bool:
        return self.family == "classification"

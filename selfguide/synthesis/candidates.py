"""The record of one proposed input, from proposal to training pair. Nothing is ever thrown away."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LOOP_FIELDS = ("source", "parent", "exemplar")
WORDING = "wording"
"""The `source` of a row with another accepted answer to its parent's input: trained on, but no proposal."""
# Why a candidate that passed every filter is no training row: all of them are reasons of the data set, not of the text.
LATE = ("balance", "max_rows", "composition", "curated", "budget", "over_length", "not_shown")


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the model: what it said, how likely (log), and why it does not vote."""

    text: str
    logprob: float | None  # null in a file: the model gave no finite number
    dropped: str | None = None
    answer: str | None = None  # what it votes for: what the task's metric reads of it


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed input. `label` is the label it was asked for.

    Where SELF-GUIDE only records it, the loop's methods may inherit it as the output. The last three
    fields are the loop's: where a row comes from ("generated", "extrapolated", …), the id of the row
    it was made from, and that row's input.
    """

    id: str
    round: int
    input: str
    label: str | None = None
    dropped: str | None = None
    samples: tuple[Sample, ...] = ()
    output: str | None = None
    share: float | None = None  # of the votes, for the winner
    source: str | None = None
    parent: str | None = None
    exemplar: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the input passed the input filters, whatever became of it later."""
        return self.dropped is None or bool(self.samples) or self.dropped in LATE

    def to_row(self) -> dict[str, Any]:
        row = dataclasses.asdict(self)
        return {name: value for name, value in row.items() if value is not None or name not in LOOP_FIELDS}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Candidate":
        return cls(**{**row, "samples": tuple(Sample(**sample) for sample in row["samples"])})


def proposals(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates without those that only word a proposal's answer anew."""
    return [candidate for candidate in candidates if candidate.source != WORDING]


def drop_counts(candidates: Iterable[Candidate]) -> dict[str, int]:
    """Dropped candidates by reason, commonest first."""
    return dict(Counter(c.dropped for c in candidates if c.dropped is not None).most_common())

"""The only way to gold instances. Synthesis is never handed this object.

Opening a split is observable: every `open` is recorded and told to subscribers, so that readings
of a test split can be counted.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from selfguide.core.errors import DataError
from selfguide.core.types import Example, Instance, Split
from selfguide.tasks.identity import Identity
from selfguide.tasks.overlap import Overlap, OverlapIndex
from selfguide.tasks.raw import normalized

SPLITS: tuple[Split, Split] = ("validation", "test")


class Opening(NamedTuple):
    """One reading of a split. `purpose` is "evaluation" unless the caller says otherwise."""

    task: str
    split: Split
    purpose: str
    test_instances: int = 0  # of the published test split, which `data` may have moved to another


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Instances of a split: as published, dropped for being a demonstration, and left."""

    published: int
    dropped: int

    @property
    def kept(self) -> int:
        """Instances that are evaluated."""
        return self.published - self.dropped


class GoldData:
    """The gold instances of a task, by split, without those that are demonstrations.

    An instance is dropped when its input equals a demonstration's (white space normalised).
    """

    def __init__(
        self,
        task: str,
        splits: Mapping[Split, Sequence[Instance]],
        demonstrations: Iterable[Example] = (),
        valid_input: str | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.task = task
        self.identity = identity or Identity()
        self._valid_input = None if valid_input is None else re.compile(valid_input, re.IGNORECASE)
        self.openings: list[Opening] = []
        self._subscribers: list[Callable[[Opening], None]] = []
        shown = {normalized(demonstration.input) for demonstration in demonstrations}
        self._kept: dict[Split, tuple[Instance, ...]] = {}
        self._counts: dict[Split, SplitCounts] = {}
        for split in SPLITS:
            rows = tuple(splits.get(split, ()))
            self._kept[split] = tuple(row for row in rows if normalized(row.input) not in shown)
            self._counts[split] = SplitCounts(len(rows), len(rows) - len(self._kept[split]))
        self._indexes: dict[tuple[Split, int], OverlapIndex] = {}

    def open(self, split: Split, purpose: str = "evaluation") -> tuple[Instance, ...]:
        """The instances of a split, in a fixed order. Raises DataError if there are none."""
        rows = self._kept[split]
        if self.is_empty:
            raise DataError(f"{self.task}: has no instances; add some (input and output), or choose another method")
        if not rows:
            other = ", ".join(f"{name} has {self.count(name)}" for name in SPLITS if name != split)
            raise DataError(
                f"{self.task}: the {split} split has no instances ({other}); choose evaluation.split or data.split"
            )
        opening = Opening(self.task, split, purpose, self.test_instances(split))
        self.openings.append(opening)
        for notify in self._subscribers:
            notify(opening)
        return rows

    def pool(self, evaluated: Sequence[Instance]) -> tuple[Instance, ...]:
        """Validation instances for a method that claims gold, without the evaluated ones. Never a test instance.

        One whose input is also a test instance's is left out. Raises DataError if none is left.
        """
        scored = {normalized(row.input) for row in (*evaluated, *self._kept["test"])}
        rows = [row for row in self.open("validation", "training") if normalized(row.input) not in scored]
        if not rows:
            raise DataError(
                f"{self.task}: the method trains on gold instances of the validation split, and all of them are "
                "evaluated or test instances; set evaluation.limit, or evaluation.split=test"
            )
        return tuple(rows)

    def on_open(self, notify: Callable[[Opening], None]) -> None:
        """Call `notify` at every later opening."""
        self._subscribers.append(notify)

    @property
    def is_empty(self) -> bool:
        """Whether the task came without any instance: nothing can be measured then."""
        return not any(counts.published for counts in self._counts.values())

    def count(self, split: Split) -> int:
        """How many instances `open` would give."""
        return len(self._kept[split])

    def test_instances(self, split: Split) -> int:
        """How many of the split's instances are for the test, also where `data` moved them to validation."""
        rows = self._kept[split]
        return len(rows) if split == "test" else sum(normalized(row.input) in self.identity.test_inputs for row in rows)

    def counts(self, split: Split) -> SplitCounts:
        """Counts before and after dropping demonstrations."""
        return self._counts[split]

    def hash(self, split: Split) -> str:
        """Content hash (64 hex digits) of the rows and their order; does not count as an opening."""
        digest = hashlib.sha256()
        for row in self._kept[split]:
            digest.update(json.dumps([row.id, row.input, row.references], ensure_ascii=True).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    def count_valid(self, texts: Sequence[str]) -> int | None:
        """How many of `texts` are inputs of the task at all; None where its file does not say what is one."""
        if self._valid_input is None:
            return None
        return sum(self._valid_input.fullmatch(text.strip()) is not None for text in texts)

    def overlaps(self, split: Split, texts: Sequence[str], ngram: int = 8) -> list[Overlap]:
        """Which of `texts` equal, or share a run of `ngram` words with, an input of the split.

        Sealed: the answer holds indices into `texts` and the matched words, never a label.
        """
        key = (split, ngram)
        if key not in self._indexes:
            self._indexes[key] = OverlapIndex((row.input for row in self._kept[split]), ngram)
        return self._indexes[key].find(texts)

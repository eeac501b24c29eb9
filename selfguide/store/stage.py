"""A stage is a value: its fields are its inputs, its key is derived from them, `run_stage` gives its result.

    @dataclass(frozen=True)
    class Double(Stage[list[int]]):
        kind: ClassVar[str] = "double"
        version: ClassVar[int] = 1
        numbers: tuple[int, ...]

        def build(self, work: Workspace) -> None:
            write_jsonl(work.path / "rows.jsonl", (2 * number for number in self.numbers))

        def load(self, stored: StoredStage) -> list[int]:
            return list(read_jsonl(stored.path / "rows.jsonl"))

Every field is part of the key, so a new input cannot be forgotten. `field(metadata=keyed(by))` says what of it decides
the content where that is not all of it, `field(metadata=NOT_KEYED)` that nothing of it does (where and how fast).
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from selfguide.config.identity import knobs_of
from selfguide.core.console import Bar, Terminal
from selfguide.core.files import canonical_json
from selfguide.store.cache import Store, StoredStage, fingerprint
from selfguide.store.journal import Journal, journal_title

T = TypeVar("T")
LONGEST = 2000
"""Characters of JSON from which on a list stands in a spec as its fingerprint."""


@dataclass(frozen=True)
class Workspace:
    """Where a stage is built: a folder that may hold what a killed run left there, a terminal, and the device.

    `name` is the stage's role in the run, to be shown. `free_device` takes running engines off the device, as far as
    their settings allow.
    """

    path: Path
    terminal: Terminal
    name: str = ""
    free_device: Callable[[], None] = lambda: None

    def journal(self, name: str = "journal.jsonl") -> Journal:
        """The finished units of this stage; a context manager."""
        return Journal(self.path / name, journal_title(self.path, name))

    def bar(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Bar]:
        """Progress of this stage."""
        return self.terminal.bar(name, total, unit)


class Stage(ABC, Generic[T]):
    """What a step computes from its fields. Raise `version` when the same inputs give another result."""

    kind: ClassVar[str]
    version: ClassVar[int]

    @abstractmethod
    def build(self, work: Workspace) -> Mapping[str, Any] | None:
        """Write the result's files; what is returned is kept as `info` (by custom `tokens`, `steps`, …)."""

    @abstractmethod
    def load(self, stored: StoredStage) -> T:
        """The result from the files of `build`."""

    def reads(self) -> Iterable[Path]:
        """Folders of other stages, finetuned weights above all, that `build` needs; the spec does not name them."""
        return ()

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides the content, as JSON; the key is its hash."""
        assert dataclasses.is_dataclass(self)
        content: dict[str, Any] = {"version": self.version}
        for field in dataclasses.fields(self):
            by = field.metadata.get("identity", _whole)
            if by is not None:
                content[field.name] = identity_of(by(getattr(self, field.name)), self.kind)
        return content


@dataclass(frozen=True)
class Finished(Generic[T]):
    """A stage's result and what is known of its making."""

    value: T
    stored: StoredStage

    @property
    def key(self) -> str:
        """Content address in the store."""
        return self.stored.key

    @property
    def info(self) -> Mapping[str, Any]:
        """What `build` returned."""
        return self.stored.info


def run_stage(store: Store, stage: Stage[T], workspace: Callable[[Path], Workspace]) -> Finished[T]:
    """The stage's result: found in the store, or built there in the workspace of a folder."""
    stored = store.run(stage.kind, stage.spec, lambda path: stage.build(workspace(path)))
    return Finished(stage.load(stored), stored)


def keyed(by: Callable[[Any], Any]) -> Mapping[str, Any]:
    """`field(metadata=keyed(by))`: a field of which `by(value)` decides the content."""
    return {"identity": by}


NOT_KEYED: Mapping[str, Any] = {"identity": None}
"""`field(metadata=NOT_KEYED)`: a field that decides nothing of the content."""


def identity_of(value: Any, kind: str) -> Any:
    """What of a value decides the content of stages of this kind, as JSON.

    An object may say it itself (`stage_identity`); of a dataclass it is the fields whose `affects` leaves this kind
    in. Raises `TypeError` for anything else that is not plain data: its identity is not known.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "stage_identity"):
        return identity_of(value.stage_identity, kind)
    if dataclasses.is_dataclass(value):
        value = knobs_of(value, kind)
    if isinstance(value, Mapping):
        return {str(key): identity_of(inner, kind) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        rows = [identity_of(inner, kind) for inner in value]
        return rows if len(canonical_json(rows)) < LONGEST else fingerprint(rows)
    raise TypeError(f"a {type(value).__name__} cannot be part of a stage's key: give it `stage_identity`")


def _whole(value: Any) -> Any:
    return value

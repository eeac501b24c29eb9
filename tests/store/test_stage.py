"""A stage's key follows from its fields; its result is the same found or built."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from selfguide.config.identity import NOTHING
from selfguide.config.knobs import knob
from selfguide.core.console import Terminal
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example
from selfguide.models.base import Weights
from selfguide.store import NOT_KEYED, Finished, Stage, Store, StoredStage, Workspace, keyed, run_stage
from selfguide.store.stage import LONGEST


@dataclass
class Settings:
    factor: int = knob(default=2)
    elsewhere: int = knob(default=0, affects={"other"})
    batch: int = knob(default=8, affects=NOTHING)


@dataclass(frozen=True)
class Scale(Stage[list[int]]):
    kind: ClassVar[str] = "scale"
    version: ClassVar[int] = 1

    numbers: tuple[Any, ...]
    settings: Settings = field(default_factory=Settings)
    note: str = field(default="", metadata=keyed(len))
    device: object = field(default=None, metadata=NOT_KEYED)

    def build(self, work: Workspace) -> dict[str, Any]:
        write_jsonl(work.path / "rows.jsonl", (self.settings.factor * number for number in self.numbers))
        return {"rows": len(self.numbers)}

    def load(self, stored: StoredStage) -> list[int]:
        return list(read_jsonl(stored.path / "rows.jsonl"))


class Again(Scale):
    version: ClassVar[int] = 2


def run(folder: Path, stage: Stage[list[int]]) -> Finished[list[int]]:
    terminal = Terminal(Console(file=io.StringIO()))
    return run_stage(Store(folder), stage, lambda path: Workspace(path, terminal))


def test_the_result_is_the_same_built_and_found(tmp_path: Path) -> None:
    first, second = (run(tmp_path, Scale((1, 2, 3))) for _ in range(2))
    assert first.value == second.value == [2, 4, 6]
    assert (first.stored.hit, second.stored.hit) == (False, True)
    assert first.info == second.info == {"rows": 3}


@pytest.mark.parametrize(
    "other",
    [
        Scale((1, 2)),
        Scale((2, 1, 3)),
        Scale((1, 2, 3), Settings(factor=3)),
        Scale((1, 2, 3), note="x"),
        Again((1, 2, 3)),
    ],
)
def test_what_decides_the_content_is_in_the_key(other: Scale) -> None:
    assert other.spec != Scale((1, 2, 3)).spec


@pytest.mark.parametrize(
    "other",
    [
        Scale((1, 2, 3), Settings(batch=1)),
        Scale((1, 2, 3), Settings(elsewhere=1)),
        Scale((1, 2, 3), device=object()),
    ],
)
def test_what_does_not_decide_it_is_not(other: Scale) -> None:
    assert other.spec == Scale((1, 2, 3)).spec


def test_weights_are_what_they_hold_wherever_they_are() -> None:
    here, there = (Scale((Weights("abc", Path(name), rank=4),)).spec for name in ("a", "b"))
    assert here == there
    assert here != Scale((Weights("abd", Path("a"), rank=4),)).spec


def test_long_content_stands_in_the_spec_as_its_hash_and_counts() -> None:
    pairs = tuple(Example(f"input {index}", "yes") for index in range(LONGEST // 10))
    spec = Scale(pairs).spec
    assert isinstance(spec["numbers"], str)
    assert spec != Scale((*pairs[:-1], Example(pairs[-1].input, "no"))).spec


def test_what_has_no_known_identity_is_refused() -> None:
    with pytest.raises(TypeError, match="stage_identity"):
        Scale((object(),)).spec  # noqa: B018

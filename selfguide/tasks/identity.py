"""Which task some gold is, by its instances: a copy under another name is the same task, with the same splits."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from selfguide.config.schema import TaskConfig
from selfguide.core.types import Family, Instance
from selfguide.tasks.provenance import instance_hash
from selfguide.tasks.raw import RawTask

TABLE = Path(__file__).with_name("published.json")
SAMPLE = 32
"""Instances of a task that stand for it: those with the smallest hashes."""
ENOUGH = 4
"""So many of them make other gold the same task: a copy of which a few instances were left out, added or changed."""
SAME_ANSWERS = 0.75
Group = Literal["validation", "test"]


@dataclass(frozen=True, slots=True)
class Identity:
    """`content` is the same for all copies of a task; `preset` the one that ships with this program, None for another.

    `sample` stands for the instances (`sample_of`). `exact`: these are the preset's instances in its order, no more
    and no fewer. `family` is the preset's; it and the preset's name decide its splits. `test_inputs` are those of the
    test split as it is unless `data` says otherwise.
    """

    content: str = ""
    family: Family = "generation"
    preset: str | None = None
    group: Group | None = None
    exact: bool = True
    test_inputs: frozenset[str] = frozenset()
    sample: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: RawTask, task: TaskConfig) -> "Identity":
        """That of a task as it was read; `task.group` is believed of a task that no preset is."""
        rows = list(map(_row, raw.instances))
        content, sample = content_of(rows), sample_of(raw.instances)
        preset = _by_source(raw, task) or _by_instances(content, rows)
        if preset is None:
            return cls(content, group=cast(Group | None, task.group), sample=sample)
        entry = _table()[preset]
        group = entry.get("group")
        known = entry.get("content", content)
        exact = "ordered" not in entry or entry["ordered"] == _hash("\n".join(rows))
        return cls(known, entry["family"], preset, group, exact, sample=sample)


def content_of(rows: Iterable[str]) -> str:
    """16 hex digits of a task's instances, one text each."""
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:16]


def sample_of(instances: Iterable[Instance]) -> tuple[str, ...]:
    """`INPUT:ANSWERS` of the `SAMPLE` instances with the smallest hashes of inputs: data sets with many in common have
    many of these in common."""
    hashes = {instance_hash(row.input)[:8]: _hash(json.dumps(row.references))[:4] for row in instances}
    return tuple(f"{key}:{hashes[key]}" for key in sorted(hashes)[:SAMPLE])


def alike(one: Collection[str], other: Collection[str], same_name: bool) -> bool:
    """Whether two samples are of the same gold, some instances of which were edited, added or left out.

    Under the same name all answers may be others; under another, the same inputs with other answers are another task.
    """
    enough = min(ENOUGH, (min(len(one), len(other)) + 1) // 2) or 1
    inputs = len({row.partition(":")[0] for row in one} & {row.partition(":")[0] for row in other})
    pairs = len(set(one) & set(other))
    return inputs >= enough and (same_name or (pairs >= enough and pairs >= inputs * SAME_ANSWERS))


def entry_of(raw: RawTask) -> dict[str, Any]:
    """What the table says of a task's instances."""
    rows = list(map(_row, raw.instances))
    sample = sorted(map(_hash, rows))[:SAMPLE]
    return {"content": content_of(rows), "ordered": _hash("\n".join(rows)), "sample": sample}


def hub_address(task: TaskConfig) -> str:
    """The rows of a hub data set, and which of them are for the test."""
    return " ".join(str(part) for part in (task.hub.path, task.hub.name, task.hub.split, task.hub.train_split))


def _by_source(raw: RawTask, task: TaskConfig) -> str | None:
    if task.source == "sni" and raw.name in _table():
        return raw.name
    if task.source == "hub":
        return next((name for name, entry in _table().items() if entry.get("hub") == hub_address(task)), None)
    return None


def _by_instances(content: str, rows: Iterable[str]) -> str | None:
    table = _table()
    for name, entry in table.items():
        if entry.get("content") == content:
            return name
    hashes = set(map(_hash, rows))
    shared = {name: len(hashes.intersection(entry.get("sample", ()))) for name, entry in table.items()}
    nearest = max(shared, key=lambda name: shared[name])
    return nearest if shared[nearest] >= ENOUGH else None


def _row(instance: Instance) -> str:
    return json.dumps([instance.input, instance.references])


def _hash(row: str) -> str:
    return hashlib.sha256(row.encode()).hexdigest()[:16]


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table

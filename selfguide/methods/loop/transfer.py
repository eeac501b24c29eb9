"""Rows that the rounds of another run added, for this method's data (S3's transfer study)."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfguide.config.loop import LoopConfig, MethodConfig
from selfguide.core.errors import DataError
from selfguide.core.files import read_jsonl
from selfguide.core.text import normalised
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.stages import decontaminated

KEY = "method.initial_data.extra_rows_from_run"
SAME_TASK = ("name", "family", "instruction", "demonstrations", "labels", "context_until")
# Where gold comes from and how it is split.
SAME_GOLD = {
    "task": ("source", "id", "path", "hub"),
    "data": ("split", "split_path", "validation_fraction", "split_seed"),
}


def require_source(session: Session, folder: str) -> None:
    """Raise `DataError` if `folder` is no finished run of this task, or drew on gold that this run scores on."""
    result, details = (_json(Path(folder), name) for name in ("result.json", "details.json"))
    theirs, mine = details["task"], json.loads(json.dumps(dataclasses.asdict(session.task)))
    for name in SAME_TASK:
        if theirs.get(name) != mine[name]:
            raise DataError(f"{KEY}: {folder} is a run of {theirs['name']}, whose {name} is not this task's")
    if not result.get("claims_gold", True):
        return
    config, run = details["config"], session.config
    for key, (own, other) in _gold_settings(dataclasses.asdict(run), config).items():
        if own != other:
            raise DataError(
                f"{KEY}: {folder} drew on gold that this run may be scored on: {key} is {other!r} there, {own!r} here"
            )


def added_rows(session: Session, folder: str, known: Iterable[str]) -> tuple[Candidate, ...]:
    """What the rounds of that run added and kept, as seed data; an input that is `known` is dropped.

    Raises `DataError` if they added nothing.
    """
    rows = map(Candidate.from_row, read_jsonl(Path(folder) / "candidates.jsonl"))
    # Its ids, votes and exemplars are of another run: what comes over is the pair.
    added = [
        Candidate(f"t{row.id}", 0, row.input, row.label, output=row.output, source="transferred")
        for row in rows
        if row.round > 0 and row.dropped is None and row.output is not None
    ]
    if not added:
        raise DataError(f"{KEY}: the rounds of {folder} added no rows")
    seen = {normalised(text) for text in known}
    return tuple(
        replace(row, dropped="duplicate") if normalised(row.input) in seen and row.dropped is None else row
        for row in decontaminated(session, added)
    )


def source_claims_gold(method: MethodConfig) -> bool:
    """Whether a method takes rows from a run that gold is behind. A run that does not say is taken for one."""
    if not isinstance(method, LoopConfig) or method.initial_data.extra_rows_from_run is None:
        return False
    file = Path(method.initial_data.extra_rows_from_run) / "result.json"
    return not file.exists() or bool(json.loads(file.read_text(encoding="utf-8")).get("claims_gold", True))


def _gold_settings(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What decides which gold is scored on and which is in the pool, here and there."""
    names = [*((node, name) for node, some in SAME_GOLD.items() for name in some), *_scored(own)]
    return {f"{node}.{name}": (own[node][name], other[node].get(name)) for node, name in names}


def _scored(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # The pool is never of the test split, and of the validation split it is what is not scored.
    if own["evaluation"]["split"] == "validation":
        yield from (("evaluation", "split"), ("evaluation", "limit"))


def _json(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / name).exists():
        raise DataError(f"{KEY}: {folder}: no finished run there (no {name})")
    content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content

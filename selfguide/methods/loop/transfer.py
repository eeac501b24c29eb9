"""Rows that the rounds of another run added, for this method's data (S3's transfer study)."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfguide.core.errors import DataError
from selfguide.core.files import read_jsonl
from selfguide.core.text import normalised
from selfguide.core.types import Instance, TaskSpec
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.stages import decontaminated
from selfguide.tasks.provenance import Provenance

KEY = "method.initial_data.extra_rows_from_run"
SAME_TASK = ("name", "family", "instruction", "demonstrations", "labels", "context_until")


def source_provenance(folder: str, task: TaskSpec, scored: Sequence[Instance]) -> Provenance:
    """What the run in `folder` has seen.

    Raises `DataError` if it is no finished run of this task, or has seen an instance that is to be scored on.
    """
    details = _json(Path(folder), "details.json")
    theirs, mine = details["task"], json.loads(json.dumps(dataclasses.asdict(task)))
    for name in SAME_TASK:
        if theirs.get(name) != mine[name]:
            raise DataError(f"{KEY}: {folder} is a run of {theirs['name']}, whose {name} is not this task's")
    if "provenance" not in details:
        raise DataError(f"{KEY}: {folder} does not say which gold it saw; run it again (its stages are in the store)")
    provenance = Provenance.from_json(details["provenance"], f"{KEY}: {folder}")
    seen = provenance.count(scored)
    if seen:
        raise DataError(f"{KEY}: {folder} drew on {seen} of the {len(scored)} instances that this run is scored on")
    return provenance


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


def _json(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / name).exists() or not (folder / "result.json").exists():
        raise DataError(f"{KEY}: {folder}: no finished run there (no result.json and {name})")
    content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content

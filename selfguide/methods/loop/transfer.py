"""Rows that were made elsewhere, for this method's data: those of a file, or what another run added (S3's transfer)."""

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
from selfguide.tasks.metrics import answer_in
from selfguide.tasks.own_rows import read_rows
from selfguide.tasks.provenance import Provenance

KEY = "method.initial_data.extra_rows"
SAME_TASK = ("name", "family", "instruction", "demonstrations", "labels", "context_until")


def source_provenance(folder: str, task: TaskSpec, scored: Sequence[Instance]) -> Provenance:
    """What the run in `folder` has seen; of a file, its own inputs.

    Raises `DataError` if it is no finished run of this task, or has seen an instance that is to be scored on.
    """
    if Path(folder).is_file():
        return Provenance.of(task.name, (row.input for row in read_rows(Path(folder), KEY)), claims_gold=False)
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
    """What the rounds of that run added and kept, or the rows of a file, as seed data; a `known` input is dropped.

    Raises `DataError` if they added nothing.
    """
    added = _rows_of_file(session, Path(folder)) if Path(folder).is_file() else _rows_of_run(folder)
    seen = {normalised(text) for text in known}
    return tuple(
        replace(row, dropped="duplicate") if normalised(row.input) in seen and row.dropped is None else row
        for row in decontaminated(session, added)
    )


def _rows_of_file(session: Session, file: Path) -> list[Candidate]:
    task = session.task
    rows = []
    for index, pair in enumerate(read_rows(file, KEY)):
        output = answer_in(task, pair.output) if task.is_classification else pair.output
        dropped = "no_label" if output is None else None
        rows.append(Candidate(f"f{index}", 0, pair.input, dropped=dropped, output=output, source="file"))
    return rows


def _rows_of_run(folder: str) -> list[Candidate]:
    rows = map(Candidate.from_row, read_jsonl(Path(folder) / "candidates.jsonl"))
    # Its ids, votes and exemplars are of another run: what comes over is the pair.
    added = [
        Candidate(f"t{row.id}", 0, row.input, row.label, output=row.output, source="transferred")
        for row in rows
        if row.round > 0 and row.dropped is None and row.output is not None
    ]
    if not added:
        raise DataError(f"{KEY}: the rounds of {folder} added no rows")
    return added


def _json(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / name).exists() or not (folder / "result.json").exists():
        raise DataError(f"{KEY}: {folder}: no finished run there (no result.json and {name})")
    content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content

"""Rounds of a finished stage that differs in their number alone: ten rounds are the first ten of forty."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfguide.store import Journal
from selfguide.store.journal import journal_title, read_journal

FILE = "journal.jsonl"


def adopt_rounds(journal: Journal, work: Path, rounds: int) -> None:
    """Put at most `rounds` finished rounds, of the stage that has most of them, into an empty journal in `work`."""
    if journal.rows:
        return
    own = _without_rounds(work)
    found: list[Any] = []
    for manifest in sorted(work.parent.glob("*/manifest.json")):
        other = manifest.parent
        # One that is damaged, or just being deleted, has nothing to give.
        with suppress(OSError, ValueError, LookupError, TypeError):
            if _without_rounds(other) == own:
                content = read_journal(other / FILE, journal_title(other, FILE))
                found = content.rows if content.fault is None and len(content.rows) > len(found) else found
    for row in found[:rounds]:
        journal.append(row)


def _without_rounds(stage: Path) -> Any:
    spec = json.loads((stage / "spec.json").read_text(encoding="utf-8"))
    return {**spec, "generation": {**spec["generation"], "rounds": None}}

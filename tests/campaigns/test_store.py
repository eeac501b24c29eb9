"""Damages to finished stages and to journals: computed anew to the same bytes, or refused in one line."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from selfguide.store import Journal, fingerprint
from tests.campaigns.tally import Tally
from tests.store.test_damage import ROWS, SPEC, harm, memory, run  # noqa: F401

pytestmark = pytest.mark.slow
STAGES, JOURNALS = 1000, 1000


def test_damaged_stages(memory: Path, tally: Callable[[str, int], Tally]) -> None:  # noqa: F811
    counts = tally("damages to finished stages", STAGES)
    expected, key = run(memory / "whole"), fingerprint(SPEC)
    whole = memory / "whole" / "kind" / key
    files = [str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file()]
    for number in counts.numbers:
        stream, root = random.Random(f"stage {number}"), memory / "damaged"
        shutil.copytree(memory / "whole", root)
        how, changed = harm(root / "kind" / key, files, stream)
        strict = stream.random() < 0.3
        result = counts.attempt((number, how), lambda: run(root, "error" if strict else "recompute"))  # noqa: B023
        aside = [path for path in (root / "kind").iterdir() if ".damaged-" in path.name]
        right = result == expected and not (strict and changed)
        counts.compare(f"{number} {how}: another result, in silence", result, right=right, healed=bool(aside))
        shutil.rmtree(root)


def test_damaged_journals(memory: Path, tally: Callable[[str, int], Tally]) -> None:  # noqa: F811
    counts, name = tally("damages to journals", JOURNALS), "kind/key/journal.jsonl"
    with Journal(memory / "whole", name) as journal:
        for row in ROWS:
            journal.append(row)
    whole = (memory / "whole").read_bytes()

    def finished(path: Path) -> bytes:
        with Journal(path, name) as journal:
            for row in ROWS[len(journal.rows) :]:
                journal.append(row)
        return path.read_bytes()

    for number in counts.numbers:
        folder = memory / "work"
        folder.mkdir()
        path = folder / "journal.jsonl"
        path.write_bytes(whole)
        how, changed = harm(folder, [path.name], random.Random(f"journal {number}"))
        result = counts.attempt((number, how), lambda: finished(path))  # noqa: B023
        counts.compare(f"{number} {how}: other rows, in silence", result, right=result == whole, healed=changed)
        shutil.rmtree(folder)

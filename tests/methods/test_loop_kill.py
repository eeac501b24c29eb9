"""`kill -9` before every call of a loop's model, run again: the same rows and answers, to the byte."""

from pathlib import Path

import pytest

from tests.methods.test_loop import pairs_writer, unsure, writer
from tests.test_kill import FILES, in_child
from tests.tiny_task import smoke, write_task

SMALL = ("method.propose.batch=8", "evaluation.batch=6", "annotation.batch=8", "method.filter.min_words=0")
METHODS = {
    "s3": ("method.initial_data.items=12", "method.attributes.items=4"),
    "llm2llm": ("method.loop.rounds=3", "method.propose.per_exemplar=2", "method.initial_data.min_items=14"),
    "selfguide_extrapolate": (),
}


def repeating(prompt: str, seed: int, sample: int) -> str:
    """Few different texts: what an earlier batch kept decides what a later one drops."""
    return writer(prompt, seed % 30, sample)


WRITERS = {"s3": repeating, "llm2llm": pairs_writer, "selfguide_extrapolate": unsure}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_killed_before_any_call_the_bytes_are_the_same(method: str, tmp_path: Path) -> None:
    task = write_task(tmp_path, classification=True)

    def overrides(store: str) -> list[str]:
        return smoke(task, tmp_path / store, "finetuning=none", f"method={method}", *SMALL, *METHODS[method])

    answer = WRITERS[method]
    assert in_child(overrides("whole"), tmp_path / "whole", None, answer) == 0
    expected = {name: (tmp_path / "whole" / name).read_bytes() for name in FILES}
    if method == "s3":
        assert b'"dropped": "duplicate"' in expected["candidates.jsonl"]
    # One store, killed again and again before the second call that is left to do.
    killed = 0
    while in_child(overrides("again"), tmp_path / "again", 1, answer) != 0:
        killed += 1
        assert killed < 100
    assert killed >= 8
    assert {name: (tmp_path / "again" / name).read_bytes() for name in FILES} == expected

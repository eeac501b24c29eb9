"""Tasks whose inputs have a fixed part: the passage is kept, the question is written anew, the answer is inherited."""

import json
from pathlib import Path

import pytest

from tests.methods.running import Ran, scripted

MARKER = " Question:"
PLACES = ("Oslo", "Lima", "Graz", "Bonn", "Turin", "Cork", "Delft", "Gent", "Leeds", "Malmo")


def write(folder: Path, labels: bool) -> Path:
    rows = [
        {
            "input": f"A tram went from {one} to {other} in {1900 + place}.{MARKER} Did it reach {PLACES[place % 7]}?",
            "output": ("yes" if place % 2 else "no") if labels else other,
        }
        for place, (one, other) in enumerate((a, b) for a in PLACES for b in PLACES if a < b)
    ]
    path = folder / ("shade.json" if labels else "color.json")
    path.write_text(json.dumps({"instruction": "Answer.", "examples": rows[:3], "instances": rows[3:]}))
    return path


def run(folder: Path, labels: bool, *overrides: str) -> Ran:
    def answer(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:"):
            return "yes" if labels else "Oslo"
        if prompt.endswith("Question:"):
            return f'"Was it number {seed % 10**6}?" And more'
        return f"The bus left Kyiv for Riga at {seed % 10**6}.{MARKER} Why?"

    more = ("task.context_until=' Question:'", "method.seed.items=6", *overrides)
    return scripted(folder, answer, *more, task=write(folder, labels))


@pytest.mark.parametrize("labels", [True, False])
def test_the_passage_of_an_error_is_kept(labels: bool, tmp_path: Path) -> None:
    more = ("method.plan.kind=none", "method.loop.rounds=1", "method.filter.must_contain='?'", "evaluation.limit=5")
    ran = run(tmp_path, labels, "method=s3", *more)
    added = [row for row in ran.rows("candidates") if row["round"] == 1]
    assert len(added) == ran.rounds[0]["errors"] > 0
    for row in added:
        passage, _, question = row["input"].partition(MARKER)
        assert passage == row["exemplar"].partition(MARKER)[0]
        assert question.startswith(" Was it number ") and question.endswith("?"), "no quotes, nothing behind the mark"
        assert row["output"] == row["label"] != ("yes" if labels else "Oslo"), "the student's answer was wrong"
        assert row["dropped"] is None


def test_conditions_are_first_parts_with_every_label(tmp_path: Path) -> None:
    ran = run(tmp_path, True, "method=zerogen", "method.plan.items=3")
    made = ran.rows("candidates")
    parts = {row["input"].partition(MARKER)[0] for row in made}
    assert len(made) == 6 and len(parts) == 3
    for part in parts:
        assert part.startswith("The bus left Kyiv for Riga at ")
        assert {row["output"] for row in made if row["input"].startswith(part)} == {"yes", "no"}


def test_an_answer_is_chosen_from_the_passage_before_its_question(tmp_path: Path) -> None:
    ran = run(tmp_path, False, "method=zerogen", "method.plan.items=3")
    made = ran.rows("candidates")
    assert made and all(row["dropped"] is None for row in made)
    for row in made:
        assert row["output"] == row["label"]
        assert row["output"] in row["input"].partition(MARKER)[0]


def test_unlabelled_gold_passages_are_a_claim_on_gold(tmp_path: Path) -> None:
    ran = run(tmp_path, True, "method=zerogen", "method.plan.source=gold", "method.plan.items=4")
    assert all(row["input"].startswith("A tram went from ") for row in ran.rows("candidates"))
    assert not [key for key in ran.result["keys"] if key.startswith("diagnosis")]
    assert {row["output"] for row in ran.rows("candidates")} == {"yes", "no"}, "its labels are not used"

"""S3, GoldGen and ZeroGen on rows of RTE and AdversarialQA: what a new row keeps of a gold one, and may inherit."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.methods.running import Ran, scripted
from tests.shared_data import shared

SMALL = ("method.initial_data.items=20", "evaluation.limit=10")
SCRIPTED_ENGINE = ("method.propose.open_quote=false",)


def write_task(folder: Path, name: str, rows: list[dict[str, Any]], **more: Any) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"instruction": "Answer.", "examples": rows[:3], "instances": rows[3:], **more}))
    return path


def rte(folder: Path) -> Path:
    lines = shared("neighbours", "rte_train.jsonl").read_text().splitlines()[:60]
    rows = [
        {"input": f"Premise: {row['premise']}\nHypothesis: {row['hypothesis']}", "output": row["label"]}
        for row in map(json.loads, lines)
    ]
    return write_task(folder, "rte", rows, labels=["entailment", "not_entailment"])


def adversarial_qa(folder: Path) -> Path:
    lines = shared("neighbours", "adversarial_qa_test_500.jsonl").read_text().splitlines()[:60]
    rows = []
    for row in map(json.loads, lines):
        rows.append({"input": f"Passage: {row['context']}\nQuestion: {row['question']}", "output": row["answer"]})
    return write_task(folder, "adversarial_qa", rows)


def writing(prompt: str, seed: int, sample: int) -> str:
    """Answers "entailment", or the passage's first word; writes hypotheses and questions with a number."""
    if prompt.endswith("Output:"):
        last = prompt.rsplit("Input:", 1)[1]
        return last.split("Passage:")[1].split()[0] if "Passage:" in last else "entailment"
    return f"Is it said that number {seed % 100000} was there?"


def pairs_of(ran: Ran, marker: str) -> list[tuple[str, str, str]]:
    """(first part, second part, output) of each row that is trained on."""
    return [(*row["input"].rsplit(marker, 1), row["output"]) for row in ran.rows("dataset")]


@pytest.mark.parametrize("method", ["s3_pairs", "goldgen_pairs", "zerogen_pairs"])
def test_premises_are_gold_and_hypotheses_are_new(method: str, tmp_path: Path) -> None:
    marker = "\nHypothesis:"
    task = rte(tmp_path)
    more = (
        f"method={method}",
        *SMALL,
        *SCRIPTED_ENGINE,
        f"task.context_until='{marker}'",
        "task.family=classification",
    )
    ran = scripted(tmp_path, writing, *more, task=task)
    gold = [row["input"].rsplit(marker, 1) for row in json.loads(task.read_text())["instances"]]
    made = pairs_of(ran, marker)
    assert len(made) >= 20 and ran.result["claims_gold"]
    assert {first for first, *_ in made} <= {first for first, _ in gold}
    assert not {second for _, second, _ in made} & {second for _, second in gold}
    assert {output for *_, output in made} == {"entailment", "not_entailment"}
    if method == "s3_pairs":
        wrong = [row for row in ran.rows("candidates") if row["round"] > 0]
        assert wrong and {row["output"] for row in wrong} == {"not_entailment"}, "the student always says entailment"


@pytest.mark.parametrize("method", ["s3_pairs", "goldgen_pairs", "zerogen_qa"])
def test_an_answer_is_inherited_where_the_passage_has_it(method: str, tmp_path: Path) -> None:
    marker = "\nQuestion:"
    more = (f"method={method}", *SMALL, *SCRIPTED_ENGINE, f"task.context_until='{marker}'", "task.metric=token_f1")
    ran = scripted(tmp_path, writing, *more, "task.family=generation", task=adversarial_qa(tmp_path))
    rows = [row for row in ran.rows("candidates") if row["dropped"] is None and row["output"] is not None]
    inherited = [row for row in rows if not row["samples"]]
    assert inherited and all(row["output"] in row["input"].rsplit(marker, 1)[0] for row in inherited)
    assert all(row["input"].endswith("was there?") for row in rows)

"""Rows of RTE and AdversarialQA end to end: the bundled model writes, a small encoder learns and answers."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.pipeline import run
from selfguide.tasks.context import split_context
from tests.composing import run_config
from tests.methods.test_real_pairs import adversarial_qa, rte

SMALL = (
    "model=micro", "engine=hf", "method.initial_data.items=12", "annotation.samples=2", "annotation.best_of=2",
    "annotation.annotator=base", "evaluation.limit=6", "evaluation.max_new_tokens=8", "evaluation.controls=false",
    "evaluation.bootstrap=100", "student.encoder.epochs=2",
)  # fmt: skip
# Three real passages fill the bundled model's context: the instruction alone stands in its prompts.
BARE = ("task.num_demonstrations=0", "generation.neighbours.show_demonstrations=false")
ROUNDS = ("method.loop.rounds=1", "method.diagnose.max_exemplars=6")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["s3_pairs", "goldgen_pairs", "zerogen_pairs"])
@pytest.mark.parametrize(
    ("task", "student", "marker"),
    [(rte, "encoder_scratch", "\nHypothesis:"), (adversarial_qa, "encoder_qa_scratch", "\nQuestion:")],
    ids=["rte", "adversarial_qa"],
)
def test_real_rows_through_the_bundled_model(
    method: str, task: Callable[[Path], Path], student: str, marker: str, tmp_path: Path
) -> None:
    file = task(tmp_path)
    known = [row["input"] for part in ("examples", "instances") for row in json.loads(file.read_text())[part]]
    overrides = [
        *SMALL, f"method={method}", f"student={student}", "task=json", f"task.path={file}",
        f"task.context_until='{marker}'", f"store.root={tmp_path / 'store'}",
        *(BARE if task is adversarial_qa else ()), *(ROUNDS if method != "zerogen_pairs" else ()),
    ]  # fmt: skip
    run(run_config(*overrides), tmp_path / "run", Terminal(Console(file=io.StringIO())))

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["claims_gold"] and result["counts"]["proposed"] >= 12 and result["score"]["n"] == 6
    contexts = {parts.context for text in known if (parts := split_context(text, marker)) is not None}
    for row in rows_of(tmp_path / "run" / "dataset.jsonl"):
        parts = split_context(row["input"], marker)
        assert parts is not None and parts.context in contexts and row["input"] not in known
    for row in rows_of(tmp_path / "run" / "predictions.jsonl") if result["status"] == "ok" else []:
        passage = row["input"].split(marker)[0]
        assert row["tuned"] in (("entailment", "not_entailment") if student == "encoder_scratch" else passage)


def rows_of(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

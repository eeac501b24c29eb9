"""`annotation.annotator` holds for every method that votes: their votes are cast by the very weights of SELF-GUIDE's.

The engine is scripted and tells whose answers it was asked for; the annotator is trained in earnest.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.models.base import Completion, Progress, Request
from selfguide.pipeline import run
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER
from tests.methods.test_loop import unsure
from tests.tiny_task import smoke, write_task

SHORT = (
    "annotation.annotator=few_shot_finetuned", "evaluation.controls=false", "evaluation.canary=false",
    "finetuning.max_epochs=1", "finetuning.epochs=1", "finetuning.demonstration_copies=1",
    "evaluation.limit=2", "generation.target=6", "student=encoder_scratch", "student.encoder.epochs=1",
)  # fmt: skip
METHODS = {
    "selfguide": (),
    "self_icl": (),
    "selfguide_extrapolate": ("method.diagnose.share_below=1.0", "method.loop.rounds=1"),
}


class Listening(ScriptedEngine):
    """Notes whose votes it was asked for: sampled answers are votes."""

    voters: set[str | None]

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        self.voters |= {request.weights and request.weights.name for request in requests if request.sampling.n > 1}
        return super().generate(requests, progress)


def finished(folder: Path, method: str, *overrides: str) -> tuple[set[str | None], dict[str, Any]]:
    """Who voted, and the result."""
    config = run_config(
        *smoke(write_task(folder, classification=True), folder / "store", f"method={method}", *SHORT, *overrides)
    )
    engine = Listening(TOKENIZER.decode, unsure)
    engine.voters = set()
    run(config, folder / method, Terminal(Console(file=io.StringIO())), engine)
    return engine.voters, json.loads((folder / method / "result.json").read_text())


@pytest.mark.slow
def test_the_annotator_votes_in_every_method(tmp_path: Path) -> None:
    ran = {method: finished(tmp_path, method, *more) for method, more in METHODS.items()}
    [weights] = ran["selfguide"][0]
    assert weights is not None
    results = {method: result for method, (_, result) in ran.items()}
    assert ran["self_icl"][0] == set(), "the same data, found"
    for name in ("inputs", "outputs", "dataset", "annotator"):
        assert results["self_icl"]["keys"][name] == results["selfguide"]["keys"][name]
    assert ran["selfguide_extrapolate"][0] == {weights}, "what later rounds made"
    assert "outputs_1" in results["selfguide_extrapolate"]["keys"]
    cached = {method: result["cache"]["annotator"] for method, result in results.items()}
    assert cached == {**dict.fromkeys(METHODS, "hit"), "selfguide": "miss"}, "trained once"


def test_without_one_the_base_model_votes(tmp_path: Path) -> None:
    voters, result = finished(tmp_path, "self_icl", "annotation.annotator=base")
    assert voters == {None}
    assert "annotator" not in result["keys"]

"""Training on the vote's winners and losers: who is preferred to whom, and the run that does it."""

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError
from selfguide.core.files import read_jsonl
from selfguide.core.types import Example, TaskSpec
from selfguide.methods.preferences import preferences
from selfguide.pipeline import run
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.training.preference_stage import Preference, preference_rows, settings_of
from selfguide.training.weights import weights_of
from tests.composing import run_config
from tests.methods.running import TOKENIZER
from tests.tiny_task import smoke, write_task

TASK = TaskSpec("t", "generation", "Add.", (Example("1 + 1", "#### 2"),), metric="numeric_match")
LABELS = TaskSpec("t", "classification", "Which?", (Example("a", "yes"),), ("yes", "no", "maybe"))


def voted(output: str, *texts: str, task: TaskSpec = TASK, dropped: str | None = None) -> Candidate:
    samples = tuple(Sample(text, -float(index), None, text.split()[-1]) for index, text in enumerate(texts))
    return Candidate("0", 0, "3 + 4", output=output, samples=samples, dropped=dropped)


def test_the_loser_is_the_rarest_answer_and_of_those_the_likeliest() -> None:
    texts = ("So 7", "And 7", "I say 9", "or 9", "no 5", "or 6", "but 7")
    assert preferences(TASK, [voted("So 7", *texts)], 0.0) == [Preference("3 + 4", "So 7", "no 5")]


@pytest.mark.parametrize(("margin", "found"), [(0.0, 1), (0.2, 1), (0.21, 0)])
def test_the_winner_must_lead_by_the_margin(margin: float, found: int) -> None:
    candidate = voted("yes", "yes", "yes", "yes", "no", "no", task=LABELS)
    assert len(preferences(LABELS, [candidate], margin)) == found


def test_the_margin_is_of_the_samples_that_vote() -> None:
    candidate = voted("yes", "yes", "yes", "yes", "no", "no", task=LABELS)
    cut = (Sample("yes and", -1.0, "cut_off"),) * 5
    assert len(preferences(LABELS, [replace(candidate, samples=(*candidate.samples, *cut))], 0.2)) == 1


def test_preferences_have_a_rate_and_passes_of_their_own() -> None:
    own = run_config("finetuning.preference.learning_rate=0.007", "finetuning.preference.epochs=3").finetuning
    settings = settings_of(own)
    assert (settings.learning_rate, settings.max_epochs, settings.epochs) == (0.007, 3, 3)
    assert own.learning_rate != 0.007


def test_no_row_is_longer_than_allowed_however_long_the_rejected_answer() -> None:
    config = run_config("finetuning.max_length=60", "finetuning.max_epochs=1", "finetuning.epochs=1")
    found = [Preference("3 + 4", "7", "six " * 200), Preference("3 + 5", "8", "9")]
    rows, over_length = preference_rows(replace(TASK, demonstrations=()), found, TOKENIZER, config.finetuning, 0, False)
    assert len(rows[0]) == 60 > len(rows[1]) and over_length == 0
    assert all(row.answer_ids and row.rejected_ids for row in rows)


def test_there_is_no_preference_without_a_loser_a_winner_or_a_lead() -> None:
    agreed, gone = voted("So 7", "So 7", "And 7"), voted("So 7", "So 7", "or 5", dropped="balance")
    tied = voted("So 7", "So 7", "or 5")
    assert preferences(TASK, [agreed, gone, tied], 0.0) == []


def test_a_sample_that_does_not_vote_is_no_loser() -> None:
    candidate = voted("So 7", "So 7", "And 7")
    cut = Sample("We go on and", -1.0, "cut_off")
    assert preferences(TASK, [Candidate("0", 0, "3 + 4", output="So 7", samples=(*candidate.samples, cut))], 0.0) == []


@pytest.mark.slow
def test_a_run_prefers_after_supervised_training_or_in_its_place(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="pip install selfguide[preference]")
    task, found = write_task(tmp_path, classification=True), {}
    quiet = ("evaluation.controls=false", "evaluation.limit=4", "finetuning.objective=dpo", "temperature.output=1.2")
    quiet += ("finetuning.epochs=1", "finetuning.batch_size=4", "finetuning.micro_batch_size=4")
    for name, more in {"after": (), "instead": ("finetuning.preference.after_sft=false",)}.items():
        overrides = smoke(task, tmp_path / "store", *quiet, "annotation.samples=8", "annotation.best_of=8", *more)
        run(run_config(*overrides), tmp_path / name, Terminal(Console(file=io.StringIO())))
        found[name] = json.loads((tmp_path / name / "result.json").read_text())
    after, instead = found["after"], found["instead"]
    assert after["status"] == instead["status"] == "ok"
    assert "training_sft" in after["keys"] and "training_sft" not in instead["keys"]
    assert after["keys"]["training"] != instead["keys"]["training"]
    assert after["keys"]["training"].startswith("preference/")
    for result in (after, instead):
        stage = tmp_path / "store" / result["keys"]["training"]
        rows = list(read_jsonl(stage / "preferences.jsonl"))
        info = json.loads((stage / "manifest.json").read_text())["info"]
        assert info["steps"] == math.ceil(info["rows"] / 4)
        assert rows and all(row["chosen"] != row["rejected"] for row in rows)
        assert {row["chosen"] for row in rows} | {row["rejected"] for row in rows} <= {"dark", "light"}
        assert result["canary"]["selfguide"]["prompts_equal"] and result["counts"]["train"] > 0
    spec = json.loads((tmp_path / "store" / after["keys"]["training"] / "spec.json").read_text())
    trained = tmp_path / "store" / after["keys"]["training_sft"]
    settings = run_config("finetuning=lora").finetuning
    first, second = (weights_of(trained / f"epoch-{epoch}", settings) for epoch in (1, 2))
    assert spec["start"] == first.name != second.name
    assert (tmp_path / "after" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    "overrides",
    [
        ("method=few_shot_finetune",),
        ("method=zerogen",),
        ("student=encoder_scratch", "task=micro_barn_or_garage"),
        ("finetuning=full",),
        ("budget=equal_rows",),
    ],
)
def test_where_nothing_votes_or_nothing_can_be_switched_off_it_is_refused(overrides: tuple[str, ...]) -> None:
    run_config(*overrides)
    with pytest.raises(ConfigError, match=rf"^{re.escape('finetuning.objective: dpo is not allowed')}"):
        run_config(*overrides, "finetuning.objective=dpo")

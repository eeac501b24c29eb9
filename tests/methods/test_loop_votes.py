"""Disagreement is the samples' alone: found with the bundled preset, too, where the label asked for outvotes them."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError
from selfguide.core.types import Example, TaskSpec
from selfguide.pipeline import run
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.vote import sample_share
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER

TASK = "micro_hour_or_day"  # labels: done, shirt
PRESET = (f"task={TASK}", "model=micro", "method=selfguide_extrapolate")


LABELS = TaskSpec("hours", "classification", "?", (Example("x", "done"), Example("y", "shirt")), ("done", "shirt"))


def doubtful(prompt: str, seed: int, sample: int) -> str:
    """New inputs with a number; the samples of an odd one are of both labels, those of an even one all "done"."""
    if not prompt.endswith("Output:"):
        return f"Ann will come to the old mill on day {seed % 100000} and leave."
    number = int(prompt.rsplit(" day ", 1)[1].split()[0]) if " day " in prompt.rsplit("Input:", 1)[1] else 0
    return "shirt" if number % 2 and sample % 10 < 5 else "done"


def test_the_bundled_preset_finds_disagreement(tmp_path: Path) -> None:
    quiet = ("finetuning=none", "evaluation.controls=false", "evaluation.limit=2", "generation.target=20")
    config = run_config(*PRESET, *quiet, "filters.input_length=off", f"store.root={tmp_path / 'store'}")
    assert config.annotation.conditioning_label_weight > config.annotation.samples, "as a user finds it"
    run(config, tmp_path / "run", Terminal(Console(file=io.StringIO())), ScriptedEngine(TOKENIZER.decode, doubtful))
    rows = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    first = [row for row in rows if row["round"] == 0 and row["share"] is not None]
    assert min(row["share"] for row in first) > 0.6, "the label asked for wins every vote"
    numbers = {row["id"]: int(row["input"].split(" day ")[1].split()[0]) for row in first}
    unsure = {row["id"] for row in first if numbers[row["id"]] % 2 or row["output"] == "shirt"}
    assert 0 < len(unsure) < len(first)
    assert {row["parent"] for row in rows if row["round"] == 1} == unsure
    notes = json.loads((tmp_path / "run" / "result.json").read_text())["diagnostics"]["rounds"]
    assert notes[0]["errors"] == len(unsure)


def test_the_share_of_the_samples() -> None:
    config = run_config(*PRESET).annotation
    samples = tuple(Sample(text, 0.0, answer=answer) for text, answer in [("a", "done"), ("b", "shirt"), ("c", None)])
    elected = Candidate("1", 0, "x", "shirt", None, samples, "shirt", 0.7)
    assert sample_share(LABELS, elected, replace(config, samples=4)) == 1 / 4
    assert sample_share(LABELS, elected, replace(config, share_of="survivors")) == 1 / 2
    assert sample_share(LABELS, replace(elected, output="other"), config) == 0


def silent(prompt: str, seed: int, sample: int) -> str:
    """No sample answers an input with an odd number."""
    answer = doubtful(prompt, seed, sample)
    odd = prompt.endswith("Output:") and " day " in prompt and int(prompt.rsplit(" day ", 1)[1].split()[0]) % 2
    return "I cannot tell" if odd else answer


def test_an_input_that_no_sample_answers_is_the_least_certain(tmp_path: Path) -> None:
    quiet = ("finetuning=none", "evaluation.controls=false", "evaluation.limit=2", "generation.target=20")
    config = run_config(*PRESET, *quiet, "filters.input_length=off", f"store.root={tmp_path / 'store'}")
    run(config, tmp_path / "run", Terminal(Console(file=io.StringIO())), ScriptedEngine(TOKENIZER.decode, silent))
    rows = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    unanswered = {row["id"] for row in rows if row["round"] == 0 and row["share"] == 0}
    assert unanswered and unanswered <= {row["parent"] for row in rows if row["round"] == 1}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("annotation.samples=1",), "annotation.samples: 1 is not allowed; allowed: >= 2"),
        (
            ("annotation.samples=3", "annotation.conditioning_label_weight=0", "method.diagnose.share_below=0.3"),
            "method.diagnose.share_below: 0.3 is not allowed; allowed: > 0.33",
        ),
        (
            ("annotation.samples=4", "annotation.conditioning_label_weight=0", "method.diagnose.share_below=0.25"),
            "method.diagnose.share_below: 0.25 is not allowed; allowed: > 0.25",
        ),
    ],
)
def test_votes_that_cannot_disagree_are_refused(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run_config(*PRESET, *overrides)
    run_config(*PRESET, *overrides, "method.loop.rounds=0")
    run_config(*PRESET, *overrides, "method.diagnose.select=all")


def test_no_input_is_extrapolated_in_two_rounds(tmp_path: Path) -> None:
    quiet = ("finetuning=none", "evaluation.controls=false", "evaluation.limit=2", "generation.target=10")
    more = ("filters.input_length=off", "method.loop.rounds=2", "method.loop.rows=null")
    config = run_config(*PRESET, *quiet, *more, f"store.root={tmp_path / 'store'}")
    run(config, tmp_path / "run", Terminal(Console(file=io.StringIO())), ScriptedEngine(TOKENIZER.decode, doubtful))
    rows = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    first, second = ({row["parent"] for row in rows if row["round"] == number} for number in (1, 2))
    assert first and second and not first & second

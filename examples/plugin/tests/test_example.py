"""The contracts of selfguide for what the plugin adds, and what each does of its own."""

from pathlib import Path

import pytest

from selfguide.config.builtin import METRICS
from selfguide.core.errors import ConfigError
from selfguide.models.base import Request, Sampling
from selfguide.models.build import build_engine, engine_identity
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.tasks.load import load_task
from selfguide.tasks.metrics import score
from selfguide.testing.filter import FilterContract
from selfguide.testing.method import MethodContract, run_config


class TestSelfPrompt(MethodContract):
    overrides = ("method=self_prompt", "method.shown=3")


class TestNoDigits(FilterContract):
    name = "no_digits"


def test_the_metric() -> None:
    assert score("first_word", "yes, always", ["no", "yes, never"]) == 1.0
    assert score("first_word", "", ["no"]) == 0.0
    assert METRICS.title("first_word") == "first word"


def test_the_source(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text("Name it.\na\tA\tdemonstration\nb\tB\tdemonstration\nc\tC\nd\tD\ne\tE\n")
    run = run_config("task=tsv", "task.name=mine", f"task.path={file}", "task.family=generation")
    task, gold = load_task(run.task, run.data, 0)
    assert [d.output for d in task.demonstrations] == ["A", "B"] and gold.count("test") > 0
    with pytest.raises(ConfigError, match=r"task\.path: there is no file"):
        load_task(run_config("task=tsv", "task.name=mine").task, run.data, 0)


def test_the_engine() -> None:
    run = run_config("engine=greedy")
    assert engine_identity(run.engine) == "greedy@1"
    prompt = tuple(load_prompt_tokenizer(run.model).tokenizer("Input: a red hat\nOutput:").input_ids)
    with build_engine(run) as engine:
        [samples] = engine.generate([Request(prompt, Sampling(max_new_tokens=4, temperature=1.5, n=4), seed=1)])
    assert len({sample.token_ids for sample in samples}) == 1

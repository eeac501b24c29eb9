"""Prompts without room stop a run before its first model call."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.analysis.result import load
from selfguide.core.console import Terminal
from selfguide.core.errors import SelfguideError
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.pipeline import run
from selfguide.prompts.selfguide import answer_prompt
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.tiny_task import smoke, write_task


def started(tmp_path: Path, context_length: int, *more: str) -> tuple[ScriptedEngine, str]:
    """What the engine was asked and what was printed until the run ended, or was refused (the last line says why)."""
    task = write_task(tmp_path, classification=True)
    config = run_config(*smoke(task, tmp_path / "store", "finetuning=none", *more))
    tokenizer = load_prompt_tokenizer(config.model)
    engine = ScriptedEngine(tokenizer.decode, lambda prompt, seed, sample: "dark", context_length)
    printed = io.StringIO()
    try:
        run(config, tmp_path / "run", Terminal(Console(file=printed, width=400)), engine)
    except SelfguideError as error:
        printed.write(str(error))
    return engine, printed.getvalue()


@pytest.mark.parametrize("method", ["selfguide", "few_shot_icl"])
def test_no_model_is_asked_where_nothing_fits(tmp_path: Path, method: str) -> None:
    engine, said = started(tmp_path, 40, f"method={method}")
    assert engine.batches == []
    assert "use fewer demonstrations (task.num_demonstrations=…)" in said


def test_no_model_is_asked_where_no_training_row_would_be_left(tmp_path: Path) -> None:
    engine, said = started(tmp_path, 1024, "finetuning=lora_micro", "finetuning.max_length=40")
    assert engine.batches == []
    assert "finetuning.max_length: a training row of shade has at least" in said


def test_a_run_whose_prompts_fit_is_not_held_up(tmp_path: Path) -> None:
    engine, said = started(tmp_path, 1024, "method=few_shot_icl")
    assert sum(engine.batches) > 0
    assert "no room" not in said


def test_over_long_instances_leave_every_score_and_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = write_task(tmp_path, classification=True)
    config = run_config(*smoke(task, tmp_path / "store"))
    spec, gold = load_task(config.task, config.data, config.seed)
    tokenizer = load_prompt_tokenizer(config.model)
    sizes = sorted(len(tokenizer.encode_prompt(answer_prompt(spec, row.input))) for row in gold.open("test", "lint"))
    limit = sizes[len(sizes) // 2]
    kept = sum(size <= limit for size in sizes)
    assert 0 < kept < len(sizes)
    started(tmp_path, 1024, "method=few_shot_icl", f"evaluation.max_prompt_tokens={limit}")
    result = load(tmp_path / "run")
    assert (result["score"]["n"], result["instances"]["evaluated"]) == (kept, kept)
    assert result["instances"]["left_out_as_over_long"] == len(sizes) - kept
    assert f"{len(sizes) - kept} of {len(sizes)} instances are left out of every score" in caplog.text
    engine, said = started(tmp_path, 1024, "method=few_shot_icl", "evaluation.max_prompt_tokens=16")
    assert engine.batches == [] and "evaluation.max_prompt_tokens: no prompt of shade has at most 16 tokens" in said

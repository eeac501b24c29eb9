"""`task.num_demonstrations=0`: the instruction alone in every prompt, where a method can do without demonstrations."""

from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError
from tests.composing import run_config
from tests.methods.running import scripted
from tests.methods.test_worded_answers import GSM8K, failing_student, write_task

NONE = "task.num_demonstrations=0"
SEEDS = ("method=llm2llm", "method.initial_data.share=null", "method.initial_data.items=5", "annotation.annotator=base")


def test_llm2llm_asks_teacher_and_student_by_the_instruction_alone(tmp_path: Path) -> None:
    ran = scripted(tmp_path, failing_student, *GSM8K, *SEEDS, NONE, task=write_task(tmp_path))
    assert any(row["dropped"] is None and row["output"] for row in ran.rows("candidates"))
    answered = [prompt for prompt in ran.engine.prompts if prompt.endswith("Output:")]
    assert answered and all(prompt.count("Input:") == 1 for prompt in answered)
    assert "copy_demonstration" not in ran.result["floors"]
    assert any("the instruction alone" in warning for warning in ran.result["warnings"])
    page = (ran.folder / "report.html").read_text()
    assert "Without demonstrations no length is expected." in page


@pytest.mark.parametrize(
    ("overrides", "need"),
    [
        (["method=selfguide"], "method=selfguide"),
        (["method=few_shot_icl"], "method=few_shot_icl"),
        (["method=self_icl"], "method.variant=fill_context"),
        (["method=llm2llm", "method.propose.show_demonstrations=true"], "method.propose.show_demonstrations=true"),
        (["method=llm2llm", "annotation.annotator=few_shot_finetuned"], "annotation.annotator=few_shot_finetuned"),
        (["method=zero_shot", "evaluation.controls=true"], "evaluation.controls=true"),
    ],
)
def test_what_needs_demonstrations_is_refused(overrides: list[str], need: str) -> None:
    base = ("task=json", "task.path=t.json", "evaluation.controls=false", "annotation.annotator=base")
    with pytest.raises(ConfigError, match=r"task\.num_demonstrations: 0 is not allowed with") as error:
        run_config(*base, *overrides, NONE)
    assert need in str(error.value)
    run_config(*base, *overrides, "task.num_demonstrations=1")


@pytest.mark.parametrize("method", ["llm2llm", "zero_shot", "gold_finetune", "zerogen_pairs"])
def test_what_does_without_them_is_allowed(method: str) -> None:
    shown = (
        "generation.neighbours.show_demonstrations=false",
        "evaluation.controls=false",
        "annotation.annotator=base",
    )
    more = ("engine=hf", "task.context_until=X") if method == "zerogen_pairs" else ()
    run_config("task=json", "task.path=t.json", f"method={method}", *shown, *more, NONE)

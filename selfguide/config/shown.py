"""A task without demonstrations in any prompt (`task.num_demonstrations=0`): what cannot do without them."""

from collections.abc import Iterator

from selfguide.config.loop import LoopConfig
from selfguide.config.methods import SelfICLConfig
from selfguide.config.schema import RunConfig


def demonstration_problems(run: RunConfig) -> Iterator[str]:
    """One line per setting that needs a demonstration where the task shows none."""
    if run.task.num_demonstrations != 0:
        return
    for need, instead in _needs(run):
        yield f"task.num_demonstrations: 0 is not allowed with {need}; allowed: >= 1, or {instead}"


def _needs(run: RunConfig) -> Iterator[tuple[str, str]]:
    """What needs a demonstration, and what does not."""
    method = run.method
    if isinstance(method, LoopConfig):
        if method.propose.show_demonstrations:
            yield "method.propose.show_demonstrations=true", "false"
        if method.attributes.source == "demonstrations":
            yield "method.attributes.source=demonstrations", "generated | gold"
        if method.initial_data.source in ("demonstrations", "selfguide"):
            yield f"method.initial_data.source={method.initial_data.source}", "generated | gold"
        if run.annotation.annotator != "base":
            yield f"annotation.annotator={run.annotation.annotator}", "base"
    elif isinstance(method, SelfICLConfig):
        if method.variant == "fill_context":
            yield "method.variant=fill_context", "test_conditioned"
    elif method.kind in ("selfguide", "few_shot_icl", "few_shot_finetune"):
        yield f"method={method.name}", "a method that does without demonstrations, such as llm2llm"
    if run.evaluation.controls:
        yield "evaluation.controls=true (few-shot finetuning is the control)", "false"

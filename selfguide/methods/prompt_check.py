"""Prompts that cannot fit, found before the first model call."""

from collections.abc import Sequence

from selfguide.config.builtin import METHODS
from selfguide.config.loop import LoopConfig
from selfguide.config.methods import SelfICLConfig
from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError, PromptTooLongError
from selfguide.core.types import Instance
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt
from selfguide.synthesis.inputs import check_room

MEASURED = 200
"""Prompts that are measured: those of the longest inputs, by characters."""


def check_prompts(session: Session, instances: Sequence[Instance]) -> None:
    """Raise `PromptTooLongError` or `ConfigError` for a run whose prompts have no room; warn where some have none.

    The prompt for new inputs, the rows of a training, the prompts of the evaluation.
    """
    config = session.config
    if writes_inputs(config):
        check_room(session.teacher, session.task, config.generation)
    if trains_on_answers(config):
        _check_rows(session)
    if instances:
        _check_answers(session, instances)


def writes_inputs(config: RunConfig) -> bool:
    """Whether the method asks for new inputs as SELF-GUIDE does."""
    method = config.method
    if config.task.inputs is not None or method.claims_gold:
        return False
    looped = isinstance(method, LoopConfig) and method.initial_data.source == "selfguide"
    in_context = isinstance(method, SelfICLConfig) and method.variant == "fill_context"
    return looped or in_context or method.kind in ("selfguide", "rest")


def trains_on_answers(config: RunConfig) -> bool:
    """Whether rows are trained on that show every demonstration."""
    causal = config.student.kind == "causal" and config.finetuning.kind != "none"
    kind = config.method.kind
    return causal and METHODS.entry(kind).trains and kind != "few_shot_finetune"  # its rows leave one out


def _check_rows(session: Session) -> None:
    shortest = session.student.render(answer_prompt(session.task, "")).size + 1
    limit = session.config.finetuning.max_length
    if shortest > limit:
        raise ConfigError(
            f"finetuning.max_length: a training row of {session.task.name} has at least {shortest} tokens, so that "
            f"with {limit} none is left; allowed: more, or fewer demonstrations (task.num_demonstrations)"
        )


def _check_answers(session: Session, instances: Sequence[Instance]) -> None:
    task, model = session.task, session.student
    longest_first = sorted(instances, key=lambda row: -len(row.input))
    measured = longest_first[:MEASURED]
    over = sum(model.render(answer_prompt(task, row.input)).size >= model.context_length for row in measured)
    if not over:
        return
    shortest = model.render(answer_prompt(task, longest_first[-1].input)).size
    if shortest >= model.context_length:
        raise PromptTooLongError(
            f"task {task.name}: even the shortest evaluation prompt has {shortest} tokens, and the model takes "
            f"{model.context_length}; use fewer demonstrations (task.num_demonstrations=…) or a model with a "
            "longer context"
        )
    least = "at least " if over == len(measured) < len(instances) else ""
    session.terminal.warn(
        f"{least}{over} of {len(instances)} evaluation prompts do not fit into the {model.context_length} tokens that "
        "the model takes"
    )

"""Instances that are not evaluated because they are over-long (`evaluation.max_prompt_tokens`)."""

from collections.abc import Sequence

from selfguide.core.errors import ConfigError
from selfguide.core.types import Instance
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt


def within_limits(session: Session, instances: Sequence[Instance]) -> tuple[Instance, ...]:
    """Those whose few-shot prompt and first accepted output have no more tokens than `evaluation` allows.

    Without a limit all stay: one whose prompt is beyond the model's context counts as wrong. Raises `ConfigError` if
    none is left.
    """
    config = session.config.evaluation
    limit = config.max_prompt_tokens
    if limit is None or not instances:
        return tuple(instances)
    counted = session.config.model.prompt_format != "turns"  # else the server alone can count

    def fits(row: Instance) -> bool:
        if session.student.render(answer_prompt(session.task, row.input)).size > limit:
            return False
        return not counted or len(session.tokenizer.encode_text(row.references[0])) <= config.max_new_tokens

    kept = tuple(filter(fits, instances))
    if not kept:
        raise ConfigError(
            f"evaluation.max_prompt_tokens: no prompt of {session.task.name} has at most {limit} tokens; allowed: "
            "more, null, or fewer demonstrations (task.num_demonstrations)"
        )
    if len(kept) < len(instances):
        session.terminal.warn(
            f"{len(instances) - len(kept)} of {len(instances)} instances are left out of every score: their prompt has "
            f"more than {limit} tokens, or their output more than {config.max_new_tokens}"
        )
    return kept

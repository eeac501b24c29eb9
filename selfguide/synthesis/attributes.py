"""What proposals are conditioned on: conditions (ZeroGen) or reasons for each label (S3), asked of the model first.

Asked in waves until there are enough different ones, a bounded number of times.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from selfguide.config.loop import LoopConfig
from selfguide.core.errors import PromptTooLongError
from selfguide.core.seeding import SeedStream
from selfguide.core.text import normalised, strip_field_name, strip_quotes
from selfguide.core.types import TaskSpec
from selfguide.models.base import Completion, Request, Sampling
from selfguide.models.requests import build_request
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import ConditionPrompt, ReasonPrompt
from selfguide.store import Journal
from selfguide.synthesis.lengths import token_limit
from selfguide.synthesis.request_writer import AttributePool, shuffled_demonstrations
from selfguide.tasks.context import opening, split_context

BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s*")


def ask_attributes(
    model: LanguageModel,
    task: TaskSpec,
    config: LoopConfig,
    seeds: SeedStream,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> AttributePool:
    """The first `attributes.items` different texts: in all (conditions), or for each label (rationales)."""
    labels: Sequence[str | None] = task.labels if config.attributes.kind == "rationales" else (None,)
    texts: dict[str | None, dict[str, str]] = {label: {} for label in labels}
    wanted = config.attributes.items or 0  # null is refused where texts are asked for
    past = iter(list(journal.rows))
    for attempt in range(config.attributes.attempts):
        missing = [(label, wanted - len(texts[label])) for label in labels]
        calls = [(label, number) for label, count in missing for number in range(_calls(config, model, count))]
        for start in range(0, len(calls), config.propose.batch):
            batch = calls[start : start + config.propose.batch]
            row = next(past, None)
            if row is None:
                before = model.engine.tokens.copy()
                requests = [
                    _request(model, task, config, seeds.child("plan"), (label or "", attempt, number))
                    for label, number in batch
                ]
                replies = [_finished(completions) for completions in model.engine.generate(requests)]
                row = {"texts": replies, "tokens": (model.engine.tokens - before).counts()}
                journal.append(row)
            for (label, _), reply in zip(batch, row["texts"], strict=True):
                for text in _read(task, config, reply):
                    if len(texts[label]) < wanted:
                        texts[label].setdefault(normalised(text), text)
            if progress is not None:
                progress(len(batch))
    pools = {label: tuple(found.values()) for label, found in texts.items()}
    if config.attributes.kind == "rationales":
        return AttributePool(reasons={str(label): pool for label, pool in pools.items()})
    return AttributePool(conditions=pools[None])


def known_conditions(task: TaskSpec, inputs: Sequence[str]) -> AttributePool:
    """Conditions without a model call: the fixed parts of these inputs, or, of a task without any, the inputs."""
    if task.context_until is None:
        return AttributePool(conditions=tuple(dict.fromkeys(inputs)))
    parts = [split_context(text, task.context_until) for text in inputs]
    return AttributePool(conditions=tuple(dict.fromkeys(part.context for part in parts if part is not None)))


def _calls(config: LoopConfig, model: LanguageModel, missing: int) -> int:
    """A chat model lists all reasons in one reply; a condition, or a base model's sketch, takes a call each."""
    listed = config.attributes.kind == "rationales" and model.speaks_chat
    return min(missing, 1) if listed else missing


def _request(
    model: LanguageModel, task: TaskSpec, config: LoopConfig, seeds: SeedStream, stream: tuple[str, int, int]
) -> Request:
    """The request of a stream (label or "", attempt, number)."""
    demonstrations = shuffled_demonstrations(task, config, seeds.random_of(*stream))
    prompt = (
        ReasonPrompt(task.instruction, stream[0], demonstrations, config.attributes.items or 0)
        if config.attributes.kind == "rationales"
        else ConditionPrompt(task.instruction, demonstrations, task.context_until, opening(task))
    )
    draw = config.attributes.draw
    longest = token_limit(draw.max_new_tokens, (shown.input for shown in task.demonstrations))
    sampling = Sampling(longest, draw.known_temperature, draw.top_k, draw.top_p)
    return build_request(model, prompt, sampling, seeds.seed_of("sample", *stream))


def _finished(completions: Sequence[Completion]) -> str:
    """The reply, without the line in which it was cut off by its length. Raises `PromptTooLongError` without one."""
    if not completions:
        raise PromptTooLongError("method.attributes: the server has no room for the prompt that asks for them")
    [reply] = completions
    return reply.text.rpartition("\n")[0] if reply.finish == "length" else reply.text


def _read(task: TaskSpec, config: LoopConfig, reply: str) -> Iterator[str]:
    """The texts of one reply: its first line, each of its lines (rationales), or its fixed part, named as it is."""
    name = opening(task) if config.attributes.kind == "conditions" else None
    if task.context_until is not None and config.attributes.kind == "conditions":
        parts = split_context(reply, task.context_until)
        lines = [reply if parts is None else parts.context]
    else:
        lines = [line for line in reply.splitlines() if line.strip()]
        lines = lines if config.attributes.kind == "rationales" else lines[:1]
    for line in lines:
        text = strip_quotes(strip_field_name(BULLET.sub("", line)))
        if text:
            yield text if name is None or text.startswith(name) else f"{name} {text}"

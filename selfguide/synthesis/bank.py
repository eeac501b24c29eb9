"""The plan of a loop: conditions (ZeroGen) or reasons for each label (S3), asked of the model before any input is.

Asked in waves until there are enough different ones, a bounded number of times.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from selfguide.config.loop import LoopConfig
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.text import normalised, strip_field_name, strip_quotes
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Engine
from selfguide.prompts.neighbours import ConditionPrompt, ReasonPrompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.proposing import request_for
from selfguide.synthesis.slots import Bank
from selfguide.tasks.context import opening, split_context

BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s*")


def fill_bank(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    config: LoopConfig,
    seed: int,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> Bank:
    """The first `plan.items` different texts: in all (conditions), or for each label (rationales)."""
    groups: Sequence[str | None] = task.labels if config.attributes.kind == "rationales" else (None,)
    found: dict[str | None, dict[str, str]] = {group: {} for group in groups}
    wanted = config.attributes.items or 0  # null is refused where texts are asked for
    past = iter(list(journal.rows))
    for attempt in range(config.attributes.attempts):
        missing = [(group, wanted - len(found[group])) for group in groups]
        asked = [(group, number) for group, count in missing for number in range(_calls(config, tokenizer, count))]
        for start in range(0, len(asked), config.propose.batch):
            batch = asked[start : start + config.propose.batch]
            row = next(past, None)
            if row is None:
                before = engine.tokens.copy()
                texts = _ask(engine, tokenizer, task, config, batch, attempt, seed)
                row = {"texts": texts, "tokens": (engine.tokens - before).counts()}
                journal.append(row)
            for (group, _), text in zip(batch, row["texts"], strict=True):
                for item in _read(task, config, text):
                    if len(found[group]) < wanted:
                        found[group].setdefault(normalised(item), item)
            if progress is not None:
                progress(len(batch))
    texts_of = {group: tuple(items.values()) for group, items in found.items()}
    if config.attributes.kind == "rationales":
        return Bank(reasons={str(label): texts for label, texts in texts_of.items()})
    return Bank(conditions=texts_of[None])


def known_conditions(task: TaskSpec, inputs: Sequence[str]) -> Bank:
    """Conditions without a model call: the fixed parts of these inputs, or, of a task without any, the inputs."""
    if task.context_until is None:
        return Bank(conditions=tuple(dict.fromkeys(inputs)))
    parts = [split_context(text, task.context_until) for text in inputs]
    return Bank(conditions=tuple(dict.fromkeys(part.context for part in parts if part is not None)))


def _calls(config: LoopConfig, tokenizer: PromptTokenizer, missing: int) -> int:
    """A chat model lists all reasons in one reply; a condition, or a base model's sketch, takes a call each."""
    listed = config.attributes.kind == "rationales" and tokenizer.prompt_format == "chat"
    return min(missing, 1) if listed else missing


def _ask(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    config: LoopConfig,
    batch: Sequence[tuple[str | None, int]],
    attempt: int,
    seed: int,
) -> list[str]:
    requests = []
    for group, number in batch:
        stream = child_random(seed, "loop", "plan", group or "", attempt, number)
        shown: tuple[Example, ...] = ()
        if config.propose.show_demonstrations:
            shown = tuple(stream.sample(task.demonstrations, len(task.demonstrations)))
        prompt = (
            ConditionPrompt(task.instruction, shown, task.context_until, opening(task))
            if group is None
            else ReasonPrompt(task.instruction, group, shown, config.attributes.items or 0)
        )
        own = child_seed(seed, "loop", "plan", "sample", group or "", attempt, number)
        requests.append(request_for(prompt, tokenizer, engine.context_length, config.attributes.draw, own))
    return [completions[0].text for completions in engine.generate(requests)]


def _read(task: TaskSpec, config: LoopConfig, text: str) -> Iterator[str]:
    """The texts of one reply: its first line, each of its lines (rationales), or its fixed part, named as it is."""
    name = opening(task) if config.attributes.kind == "conditions" else None
    if task.context_until is not None and config.attributes.kind == "conditions":
        part = split_context(text, task.context_until)
        lines = [text if part is None else part.context]
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        lines = lines if config.attributes.kind == "rationales" else lines[:1]
    for line in lines:
        item = strip_quotes(strip_field_name(BULLET.sub("", line)))
        if item:
            yield item if name is None or item.startswith(name) else f"{name} {item}"

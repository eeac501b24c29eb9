"""What is to be proposed: one slot for each wanted item, with its prompt and the label it inherits. Pure.

Every slot draws from its own random stream, named by its place: no slot depends on another.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selfguide.config.loop import FeedbackConfig, LoopConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.neighbours import ConditionedPrompt, ExtrapolationPrompt, JointPrompt, NewInput
from selfguide.synthesis.spans import answer_spans
from selfguide.tasks.context import form, split_context


@dataclass(frozen=True, slots=True)
class Slot:
    """A wanted item. `start` is its fixed first part, `wanted` how many items a joint prompt is to give.

    `counters` are the prompts of the other labels, for self-debiasing.
    """

    id: str
    prompt: NewInput
    label: str | None = None
    start: str | None = None
    parent: str | None = None
    exemplar: str | None = None
    wanted: int = 1
    counters: tuple[NewInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A row to make more of. `wrong` is the student's answer to it; `label` what new ones inherit."""

    id: str
    input: str
    output: str | None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Bank:
    """What a plan prepared: conditions (or fixed first parts) for all labels, reasons for each."""

    conditions: tuple[str, ...] = ()
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def seed_slots(
    task: TaskSpec,
    config: LoopConfig,
    bank: Bank,
    places: range,
    round_number: int,
    seed: int,
    pool: Mapping[str, Sequence[Example]] | None = None,
) -> Iterator[Slot]:
    """Label-conditioned slots (ZeroGen, S3's seed data), with `pool` examples of the label by the coin (ProGen)."""
    for place in places:
        stream = child_random(seed, "loop", "slot", place)
        label, condition = _drawn(task, config, bank, place, stream)
        start: str | None = None
        if task.context_until is not None and condition is not None:
            start, condition = f"{condition}{task.context_until}", None
        if label is None and start is not None:
            spans = answer_spans(start)
            label = stream.choice(spans) if spans else None
        reasons = bank.reasons.get(label or "", ())
        prompt = ConditionedPrompt(
            task.instruction,
            label,
            condition,
            tuple(stream.sample(reasons, min(config.attributes.per_item, len(reasons)))),
            _shown(task, config, stream),
            _feedback(config.propose.feedback, pool, label if label in task.labels else None, stream),
            start,
            config.propose.open_quote,
        )
        looks = form(task)
        if looks is not None and not (start or prompt.demonstrations or prompt.examples):
            prompt = replace(prompt, instruction=f"{task.instruction}\nAn input has this form:\n{looks}")
        if config.annotate.source == "joint":
            shown = (*prompt.demonstrations, *prompt.examples)
            yield Slot(f"{round_number}-{place}", JointPrompt(prompt.instruction, None, shown))
            continue
        counters = tuple(replace(prompt, label=other) for other in task.labels if other != label)
        debiased = config.propose.debias.strength > 0 and label in task.labels
        yield Slot(f"{round_number}-{place}", prompt, label, start, counters=counters if debiased else ())


def extrapolation_slots(
    task: TaskSpec, config: LoopConfig, exemplars: Sequence[Exemplar], round_number: int, seed: int
) -> Iterator[Slot]:
    """`propose.per_exemplar` new items for each exemplar; the fixed part of its input stays."""
    for place, exemplar in enumerate(exemplars):
        shown = Example(exemplar.input, exemplar.output or "")
        many = config.propose.per_exemplar
        stream = child_random(seed, "loop", "extrapolate", round_number, place)
        others = tuple(d for d in _shown(task, config, stream) if d.input != exemplar.input)
        if config.annotate.source == "joint":
            prompt = JointPrompt(
                task.instruction,
                shown,
                others,
                exemplar.wrong if config.propose.show_wrong else None,
                show_gold=config.propose.show_gold,
            )
            yield Slot(f"{round_number}-{place}", prompt, parent=exemplar.id, exemplar=exemplar.input, wanted=many)
            continue
        parts = split_context(exemplar.input, task.context_until)
        start = None if parts is None else f"{parts.context}{task.context_until}"
        for number in range(many):
            yield Slot(
                f"{round_number}-{place}-{number}",
                ExtrapolationPrompt(task.instruction, shown, exemplar.output, others, start, config.propose.open_quote),
                exemplar.output,
                start,
                exemplar.id,
                exemplar.input,
            )


def _drawn(
    task: TaskSpec, config: LoopConfig, bank: Bank, place: int, stream: random.Random
) -> tuple[str | None, str | None]:
    """Label and condition: every condition with each label in turn, or both at random."""
    labels, conditions = task.labels, bank.conditions
    if config.initial_data.labels == "each":
        turn, number = divmod(place, max(len(labels), 1))
        return labels[number] if labels else None, conditions[turn % len(conditions)] if conditions else None
    return stream.choice(labels) if labels else None, stream.choice(conditions) if conditions else None


def _shown(task: TaskSpec, config: LoopConfig, stream: random.Random) -> tuple[Example, ...]:
    if not config.propose.show_demonstrations:
        return ()
    return tuple(stream.sample(task.demonstrations, len(task.demonstrations)))


def _feedback(
    config: FeedbackConfig, pool: Mapping[str, Sequence[Example]] | None, label: str | None, stream: random.Random
) -> tuple[Example, ...]:
    if pool is None or stream.random() >= config.ratio:
        return ()
    known = pool.get(label or "", ())
    return tuple(stream.sample(list(known), min(config.examples, len(known))))

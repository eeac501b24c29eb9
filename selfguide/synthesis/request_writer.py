"""What the loop asks for: label-conditioned inputs, and inputs like those that a student gets wrong. Pure.

Every request draws from its own random stream, named by its index: none depends on another.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from selfguide.config.loop import LoopConfig
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.neighbours import ConditionedPrompt, ExtrapolationPrompt, JointPrompt
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.spans import answer_spans
from selfguide.tasks.context import form, split_context

ExamplePool = Mapping[str, Sequence[Example]]
"""Helpful synthetic examples by label ("" without labels)."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A row to make more of. `wrong` is the student's answer to it; `output` what new ones inherit."""

    id: str
    input: str
    output: str | None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class AttributePool:
    """What proposals are conditioned on: conditions (or fixed first parts) for all labels, reasons for each."""

    conditions: tuple[str, ...] = ()
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestWriter:
    """Writes a loop's proposal requests; `seeds` is the loop's branch of the tree of seeds."""

    task: TaskSpec
    config: LoopConfig
    attributes: AttributePool
    seeds: SeedStream

    def conditioned(
        self, indices: range, round_number: int, examples: ExamplePool | None = None
    ) -> Iterator[ProposalRequest]:
        """Label-conditioned requests (ZeroGen, S3's seed data), by the coin with `examples` of the label (ProGen)."""
        source = "generated" if examples is None else "feedback"
        for index in indices:
            prompt = self._conditioned_prompt(index, examples)
            request = ProposalRequest(f"{round_number}-{index}", prompt, round_number, source)
            if self.config.annotate.source == "joint":
                yield _joint(request, JointPrompt(prompt.instruction, None, (*prompt.demonstrations, *prompt.examples)))
                continue
            others = [label for label in self.task.labels if label != prompt.label]
            debiased = self.config.propose.debias.strength > 0 and prompt.label in self.task.labels
            yield replace(
                request,
                label=prompt.label,
                inherits=True,
                start=prompt.start,
                open_quote=prompt.open_quote,
                shown=tuple(example.input for example in prompt.examples),
                contrast_prompts=tuple(replace(prompt, label=other) for other in others) if debiased else (),
            )

    def extrapolations(self, exemplars: Sequence[Exemplar], round_number: int) -> Iterator[ProposalRequest]:
        """`propose.per_exemplar` new items for each exemplar; the fixed part of its input stays."""
        task, propose = self.task, self.config.propose
        for index, exemplar in enumerate(exemplars):
            shown = Example(exemplar.input, exemplar.output or "")
            stream = self.seeds.random_of("extrapolate", round_number, index)
            others = tuple(d for d in self._demonstrations(stream) if d.input != exemplar.input)
            parts = split_context(exemplar.input, task.context_until)
            start = None if parts is None else f"{parts.context}{task.context_until}"
            label = exemplar.output if keeps_answer(task, start, exemplar.output) else None
            prompt = ExtrapolationPrompt(task.instruction, shown, label, others, start, propose.open_quote)
            request = ProposalRequest(
                f"{round_number}-{index}",
                prompt,
                round_number,
                "extrapolated",
                parent=exemplar.id,
                exemplar=exemplar.input,
            )
            if self.config.annotate.source == "joint":
                wrong = exemplar.wrong if propose.show_wrong else None
                joint = JointPrompt(task.instruction, shown, others, wrong, show_gold=propose.show_gold)
                yield replace(_joint(request, joint), count=propose.per_exemplar)
                continue
            request = replace(request, label=label, inherits=True, start=start, open_quote=propose.open_quote)
            for number in range(propose.per_exemplar):
                yield replace(request, id=f"{request.id}-{number}")

    def _conditioned_prompt(self, index: int, examples: ExamplePool | None) -> ConditionedPrompt:
        task, config = self.task, self.config
        stream = self.seeds.random_of("slot", index)
        label, condition = self._label_and_condition(index, stream)
        start: str | None = None
        if task.context_until is not None and condition is not None:
            start, condition = f"{condition}{task.context_until}", None
        if label is None and start is not None:
            spans = answer_spans(start)
            label = stream.choice(spans) if spans else None
        reasons = self.attributes.reasons.get(label or "", ())
        prompt = ConditionedPrompt(
            task.instruction,
            label,
            condition,
            tuple(stream.sample(reasons, min(config.attributes.per_item, len(reasons)))),
            self._demonstrations(stream),
            self._feedback(examples, label if label in task.labels else "", stream),
            start,
            config.propose.open_quote,
        )
        looks = form(task)
        if looks is None or start or prompt.demonstrations or prompt.examples:
            return prompt
        return replace(prompt, instruction=f"{task.instruction}\nAn input has this form:\n{looks}")

    def _label_and_condition(self, index: int, stream: random.Random) -> tuple[str | None, str | None]:
        """Every condition with each label in turn, or both at random."""
        labels, conditions = self.task.labels, self.attributes.conditions
        if self.config.initial_data.labels == "each":
            turn, number = divmod(index, max(len(labels), 1))
            return labels[number] if labels else None, conditions[turn % len(conditions)] if conditions else None
        return stream.choice(labels) if labels else None, stream.choice(conditions) if conditions else None

    def _demonstrations(self, stream: random.Random) -> tuple[Example, ...]:
        return shuffled_demonstrations(self.task, self.config, stream)

    def _feedback(self, examples: ExamplePool | None, label: str | None, stream: random.Random) -> tuple[Example, ...]:
        config = self.config.propose.feedback
        if examples is None or stream.random() >= config.ratio:
            return ()
        known = examples.get(label or "", ())
        return tuple(stream.sample(list(known), min(config.examples, len(known))))


def keeps_answer(task: TaskSpec, start: str | None, output: str | None) -> bool:
    """Whether an input that is written anew behind `start` can keep this output: a label, or words of the passage.

    Any other output is the old input's alone.
    """
    return output is not None and (task.is_classification or (start is not None and output in start))


def shuffled_demonstrations(task: TaskSpec, config: LoopConfig, stream: random.Random) -> tuple[Example, ...]:
    """The demonstrations that a prompt shows, in random order; none without `propose.show_demonstrations`."""
    if not config.propose.show_demonstrations:
        return ()
    return tuple(stream.sample(task.demonstrations, len(task.demonstrations)))


def _joint(request: ProposalRequest, prompt: JointPrompt) -> ProposalRequest:
    return replace(request, prompt=prompt, shown=tuple(d.input for d in prompt.demonstrations))

"""Prompts of the neighbours, ZeroGen to STaR, in our own words, as plain text or chat turns. Pure.

The chat turns say what the papers' prompts say. The plain texts keep to the two layouts of
`selfguide.prompts.selfguide` (a small base model knows no other): a new input is asked for as `InputPrompt`
asks, what to follow standing last; a pair is continued from `AnswerPrompt`'s "Input:". Only
`NewInstancesPrompt` has a layout of its own: neither of the two asks for several inputs.
"""

from dataclasses import dataclass, replace
from typing import Self

from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, Turn

ALONE = "Reply with the new input alone: no output, no explanation."


@dataclass(frozen=True, slots=True)
class ReasonPrompt:
    """Why would an input have this output? (S3's rationales.) A base model sketches such an input instead."""

    instruction: str
    label: str
    demonstrations: tuple[Example, ...] = ()
    count: int = 1

    def plain(self) -> str:
        return InputPrompt(self.instruction, self.demonstrations, (), self.label, show_outputs=True).plain()

    def turns(self) -> tuple[Turn, ...]:
        return _user(
            f"Task: {self.instruction}",
            _examples(self.demonstrations),
            f'What can an input be like, so that its correct output is "{self.label}"? Give {self.count} different '
            "reasons, one on each line, a few words each, and nothing else.",
        )

    @property
    def stop(self) -> tuple[str, ...]:
        return INPUT_STOP


@dataclass(frozen=True, slots=True)
class ConditionPrompt:
    """What could an input be about? (ZeroGen's conditions.) With `marker`, the first part of an input, up to it.

    `opening` is the name that the first part begins with ("Premise:").
    """

    instruction: str
    demonstrations: tuple[Example, ...] = ()
    marker: str | None = None
    opening: str | None = None

    def plain(self) -> str:
        return InputPrompt(self.instruction, self.demonstrations).plain() + _opened(self.opening, False)

    def turns(self) -> tuple[Turn, ...]:
        named = "" if self.opening is None else f', beginning with "{self.opening}"'
        asked = (
            "Name the subject of one possible input for this task in a few words, and nothing else."
            if self.marker is None
            else f'Write the first part of one new input for this task: all before "{self.marker.strip()}"{named}. '
            "Reply with this part alone."
        )
        return _user(f"Task: {self.instruction}", _examples(self.demonstrations), asked)

    @property
    def stop(self) -> tuple[str, ...]:
        return INPUT_STOP if self.marker is None else (*INPUT_STOP, self.marker)


@dataclass(frozen=True, slots=True)
class ConditionedPrompt:
    """A new input for a label, about a condition or for reasons, with examples or without (ZeroGen, ProGen, S3).

    `start` is the fixed part of an input, marker included: what is asked for is the rest.
    """

    instruction: str
    label: str | None = None
    condition: str | None = None
    reasons: tuple[str, ...] = ()
    demonstrations: tuple[Example, ...] = ()
    examples: tuple[Example, ...] = ()
    start: str | None = None
    open_quote: bool = False

    def plain(self) -> str:
        drafts = (*self.reasons, *(() if self.condition is None else (self.condition,)))
        shown = (*self.demonstrations, *self.examples)
        prompt = InputPrompt(self.instruction, shown, drafts, self.label, show_outputs=self.label is not None)
        return prompt.plain() + _opened(self.start, self.open_quote)

    def turns(self) -> tuple[Turn, ...]:
        parts = [f"Task: {self.instruction}", _examples((*self.demonstrations, *self.examples))]
        if self.reasons:
            parts.append("Imagine an input of which this is true:\n" + "\n".join(f"- {r}" for r in self.reasons))
        if self.condition is not None:
            parts.append(f"Subject of the new input: {self.condition}")
        parts.append(_wanted("Write one new input for the task.", self.label, self.start, self.open_quote))
        return _user(*parts)

    @property
    def stop(self) -> tuple[str, ...]:
        return INPUT_STOP

    def shorter(self) -> Self | None:
        """With one example less, for a prompt that does not fit."""
        return replace(self, examples=self.examples[:-1]) if self.examples else None


@dataclass(frozen=True, slots=True)
class ExtrapolationPrompt:
    """A new input like one that the student gets wrong, with the same output (S3's error extrapolation).

    Without `label` any output will do. `start`: the fixed part is kept, the rest is written anew.
    """

    instruction: str
    exemplar: Example
    label: str | None = None
    demonstrations: tuple[Example, ...] = ()
    start: str | None = None
    open_quote: bool = False

    def plain(self) -> str:
        shown = (*self.demonstrations, self.exemplar)
        prompt = InputPrompt(self.instruction, shown, (), self.label, show_outputs=self.label is not None)
        return prompt.plain() + _opened(self.start, self.open_quote)

    def turns(self) -> tuple[Turn, ...]:
        return _user(
            f"Task: {self.instruction}",
            _examples(self.demonstrations),
            f"Input that was misunderstood:\n{self.exemplar.input}",
            _wanted("Write one new input that is similar to it but no copy.", self.label, self.start, self.open_quote),
        )

    @property
    def stop(self) -> tuple[str, ...]:
        return INPUT_STOP

    def shorter(self) -> Self | None:
        """With one demonstration less, for a prompt that does not fit."""
        return replace(self, demonstrations=self.demonstrations[1:]) if self.demonstrations else None


@dataclass(frozen=True, slots=True)
class JointPrompt:
    """`count` new inputs with their outputs in one reply, like one that the student gets wrong (LLM2LLM).

    `wrong` is the student's answer (chat only), `kept` what earlier replies gave. Without
    `show_gold` the exemplar's output is not shown.
    """

    instruction: str
    exemplar: Example | None = None
    demonstrations: tuple[Example, ...] = ()
    wrong: str | None = None
    kept: tuple[Example, ...] = ()
    show_gold: bool = True
    count: int = 1

    def plain(self) -> str:
        shots = "".join(f"Input: {d.input}\nOutput: {d.output}\n\n" for d in (*self.demonstrations, *self.kept))
        if self.exemplar is not None:
            output = f"\nOutput: {self.exemplar.output}" if self.show_gold else ""
            shots += f"Input: {self.exemplar.input}{output}\n\n"
        return f"Task: {self.instruction}\n\n{shots}Input:"

    def turns(self) -> tuple[Turn, ...]:
        parts = [
            "You write practice problems for a student, with their solutions. Each must be complete, correct, and of "
            'the same form as the examples. Reply with "Input: …" on one line and "Output: …" below it for each, and '
            "with nothing else.",
            f"Task: {self.instruction}",
            _examples(self.demonstrations),
        ]
        if self.exemplar is not None:
            parts.append("The student failed on this one:\nInput: " + self.exemplar.input)
            if self.show_gold:
                parts[-1] += f"\nOutput: {self.exemplar.output}"
            if self.wrong is not None:
                parts.append(f"The student's answer was: {self.wrong}")
        like = "." if self.exemplar is None else ", training the same skill and copying nothing."
        asked = f"Write {self.count} new problem{'' if self.count == 1 else 's'}{like}"
        if not self.kept:
            return _user(*parts, asked)
        reply = "\n\n".join(f"Input: {d.input}\nOutput: {d.output}" for d in self.kept)
        again = f"Write {self.count} more, different from all of those{like}"
        return (*_user(*parts, asked), Turn("assistant", reply), Turn("user", again))

    @property
    def stop(self) -> tuple[str, ...]:
        return ("\nTask:", "\nDraft:")

    def shorter(self) -> Self | None:
        """With one kept pair or demonstration less, for a prompt that does not fit."""
        if self.kept:
            return replace(self, kept=self.kept[1:])
        return replace(self, demonstrations=self.demonstrations[1:]) if self.demonstrations else None


@dataclass(frozen=True, slots=True)
class NewInstancesPrompt:
    """`count` new inputs in one numbered reply, like the test input that stands as the example (Self-ICL, step 1)."""

    instruction: str
    input: str
    count: int

    def plain(self) -> str:
        return (
            f"Task: {self.instruction}\n\nAn example instance of the task, and {self.count} new, diverse, creative "
            f"ones.\n\nExample instance:\nInput: {self.input}\n\nNew instance 1:\nInput:"
        )

    def turns(self) -> tuple[Turn, ...]:
        return _user(
            f"Task: {self.instruction}",
            f"Example instance:\nInput: {self.input}",
            f"Come up with {self.count} new instance{'' if self.count == 1 else 's'} of this task: diverse, creative, "
            "of the same form, each different from the example. Reply in this form, without outputs or explanations:",
            "\n\n".join(f"New instance {number}:\nInput: …" for number in range(1, self.count + 1)),
        )

    @property
    def stop(self) -> tuple[str, ...]:
        return ("\nTask:", f"\nNew instance {self.count + 1}:")


def hinted_prompt(
    instruction: str, demonstrations: tuple[tuple[Example, str], ...], text: str, hint: str
) -> AnswerPrompt:
    """Asks for an output that leads to the answer `hint` (STaR's rationalisation); each demonstration has its own."""
    shown = tuple(Example(_hinted(example.input, answer), example.output) for example, answer in demonstrations)
    return AnswerPrompt(instruction, shown, _hinted(text, hint))


INPUT_STOP = InputPrompt("", ()).stop
NewInput = ConditionedPrompt | ExtrapolationPrompt | JointPrompt


def _user(*parts: str) -> tuple[Turn, ...]:
    return (Turn("user", "\n\n".join(part for part in parts if part)),)


def _examples(shown: tuple[Example, ...]) -> str:
    return "Examples:\n" + "\n".join(f"- {d.input} (output: {d.output})" for d in shown) if shown else ""


def _hinted(text: str, answer: str) -> str:
    return f"{text} (answer: {answer})"


def _opened(start: str | None, quote: bool) -> str:
    return ("" if start is None else f" {start}") + (' "' if quote else "")


def _wanted(asked: str, label: str | None, start: str | None, quote: bool) -> str:
    lines = [asked]
    if label is not None:
        lines.append(f'Its correct output must be "{label}".')
    if start is not None:
        lines.append(f"It must begin exactly like this:\n{start}\nReply with what follows this beginning, alone.")
    else:
        lines.append(ALONE)
    if quote:
        lines.append("Put it in double quotes.")
    return "\n".join(lines)

"""The two prompts of SELF-GUIDE, as data that renders to plain text or to chat turns. Pure.

`AnswerPrompt` (instruction, demonstrations, one input) is the only prompt that asks for an
output: annotation, training rows and evaluation all build it with `answer_prompt`, so a model is
evaluated on exactly the text it was trained on. `InputPrompt` asks for a new input.

A completion follows the prompt directly; in plain text it is the answer after one space, ended
by the end-of-sequence token (`selfguide.prompts.tokenization` owns the token ids).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

from selfguide.core.types import Example, TaskSpec


class Turn(NamedTuple):
    """One chat message; `role` is "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerPrompt:
    """Few-shot prompt for an output (paper section 3.2): annotate, train and evaluate use it."""

    instruction: str
    demonstrations: tuple[Example, ...]
    input: str

    def plain(self) -> str:
        shots = "".join(f"Input: {d.input}\nOutput: {d.output}\n\n" for d in self.demonstrations)
        return f"Task: {self.instruction}\n\n{shots}Input: {self.input}\nOutput:"

    def turns(self) -> tuple[Turn, ...]:
        """Demonstrations as finished exchanges; the instruction opens the first user turn."""
        turns: list[Turn] = []
        for demonstration in self.demonstrations:
            turns.append(Turn("user", f"Input: {demonstration.input}"))
            turns.append(Turn("assistant", demonstration.output))
        turns.append(Turn("user", f"Input: {self.input}"))
        turns[0] = Turn("user", f"{self.instruction}\n\n{turns[0].text}")
        return tuple(turns)

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that mean the model went on to the next example; plain text only."""
        return ("\nInput:", "\nOutput:", "\nTask:")


@dataclass(frozen=True, slots=True)
class InputPrompt:
    """Prompt for a new input (paper section 3.1).

    `demonstrations` are the high-quality examples, `drafts` accepted synthetic inputs (the
    low-quality ones), `label` the output that the new input should have (classification).
    `show_outputs` shows the demonstrations' outputs beside their inputs.
    """

    instruction: str
    demonstrations: tuple[Example, ...]
    drafts: tuple[str, ...] = ()
    label: str | None = None
    show_outputs: bool = False

    def plain(self) -> str:
        shots = "".join(
            f"Output: {d.output}\nInput: {d.input}\n\n" if self.show_outputs else f"Input: {d.input}\n\n"
            for d in self.demonstrations
        )
        drafts = "".join(f"Draft: {draft}\n\n" for draft in self.drafts)
        asked = "" if self.label is None else f"Output: {self.label}\n"
        return f"Task: {self.instruction}\n\nNew inputs:\n\n{drafts}{shots}{asked}Input:"

    def turns(self) -> tuple[Turn, ...]:
        parts = [
            "Write one new input for the task below. It must be different from the examples, "
            "complete, and in the same form.",
            f"Task: {self.instruction}",
            "High-quality example inputs:\n" + "\n".join(_shown(d, self.show_outputs) for d in self.demonstrations),
        ]
        if self.drafts:
            parts.append(
                "Low-quality example inputs, for variety only:\n" + "\n".join(f"- {draft}" for draft in self.drafts)
            )
        if self.label is not None:
            parts.append(f'The correct output for the new input must be "{self.label}".')
        parts.append("Reply with the new input alone: no output, no explanation.")
        return (Turn("user", "\n\n".join(parts)),)

    @property
    def stop(self) -> tuple[str, ...]:
        return ("\nInput:", "\nOutput:", "\nDraft:", "\nTask:")

    def shorter(self) -> Self | None:
        """With one draft less, for a prompt that does not fit."""
        return replace(self, drafts=self.drafts[:-1]) if self.drafts else None


class Prompt(Protocol):
    """What every prompt renders to: plain text, or chat turns."""

    def plain(self) -> str: ...

    def turns(self) -> tuple[Turn, ...]: ...

    @property
    def stop(self) -> tuple[str, ...]: ...


def _shown(demonstration: Example, show_outputs: bool) -> str:
    return f"- {demonstration.input}" + (f" (output: {demonstration.output})" if show_outputs else "")


def answer_prompt(task: TaskSpec, text: str, demonstrations: Sequence[Example] | None = None) -> AnswerPrompt:
    """The prompt for the output of `text`, with all of the task's demonstrations unless given."""
    shots = task.demonstrations if demonstrations is None else tuple(demonstrations)
    return AnswerPrompt(task.instruction, shots, text)


def plain_completion(answer: str) -> str:
    """How an answer continues a plain prompt."""
    return f" {answer}"

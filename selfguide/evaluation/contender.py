"""How the answers that are scored are made: by which weights, with which demonstrations, or otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfguide.core.types import Example
from selfguide.models.base import Weights
from selfguide.store import Journal


class Answerer(Protocol):
    """Answers inputs in a way of its own: a classifier, or prompts made anew for each input.

    `identity` names all that its answers depend on beside model, task and inputs.
    """

    identity: str

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One answer per input, in order. `journal` keeps what a killed run need not do again."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing to be scored. By default the base model with the task's demonstrations: few-shot ICL."""

    weights: Weights | None = None
    demonstrations: tuple[Example, ...] | None = None
    answerer: Answerer | None = None


BASE = Contender()

"""Filters: a text in, the reason to drop it or None out. Pure; their order is the caller's list.

Paper section 3.3 (noise and length filters); repetitions are judged by `selfguide.synthesis.judge`, which knows
what was accepted before.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfguide.config.builtin import FILTERS
from selfguide.config.schema import FiltersConfig
from selfguide.core.types import TaskSpec

Filter = Callable[[str], str | None]
Side = Literal["input", "output"]

# Chat greetings and pieces of our own prompts: what a chat model writes instead of an input.
GENERAL_NOISE = (
    "hello", "hi there", "good morning", "good afternoon", "good evening", "how can i help you",
    "how may i assist you", "i'm sorry", "i am sorry", "i apologize", "thank you for", "sure, here",
    "here is a new", "here's a new", "as an ai", "language model", "high-quality example",
    "low-quality example", "example input", "new input:", "task:", "[input]", "[output]", "user:", "assistant:",
)  # fmt: skip


def empty(text: str) -> str | None:
    """Nothing but spaces."""
    return None if text.strip() else "empty"


@dataclass(frozen=True, slots=True)
class LengthBand:
    """Characters within mean ± sigmas standard deviations of the demonstrations', ends included.

    The half-width is at least `floor` times the mean; where the deviation says nothing (0, or fewer
    than 3 texts) it is at least `fallback` times the mean, so that the band never rejects everything. Without
    demonstrations there is no bound.
    """

    low: float
    high: float

    @classmethod
    def around(cls, texts: Sequence[str], sigmas: float, floor: float, fallback: float) -> "LengthBand":
        if not texts:
            return cls(0, math.inf)
        lengths = [len(text) for text in texts]
        mean, sigma = statistics.fmean(lengths), statistics.pstdev(lengths)
        least = max(floor, fallback) if sigma == 0 or len(lengths) < 3 else floor
        half_width = max(sigmas * sigma, least * mean)
        return cls(mean - half_width, mean + half_width)

    def __call__(self, text: str) -> str | None:
        if len(text) < self.low:
            return "too_short"
        return "too_long" if len(text) > self.high else None


class Noise:
    """A text with one of the terms as whole words, case aside.

    A general term that a demonstration itself uses is no noise for that task.
    """

    def __init__(self, terms: Iterable[str], seen: Iterable[str] = ()) -> None:
        allowed = "\n".join(seen).casefold()
        kept = [term for term in dict.fromkeys(terms) if term.strip() and term.casefold() not in allowed]
        edges = (f"{_edge(term[0])}{re.escape(term)}{_edge(term[-1])}" for term in kept)
        self._pattern = re.compile("|".join(edges), re.IGNORECASE) if kept else None

    def __call__(self, text: str) -> str | None:
        return "noise" if self._pattern is not None and self._pattern.search(text) else None


def _edge(character: str) -> str:
    # A word boundary only where the term itself starts or ends with a letter or digit.
    return r"\b" if character.isalnum() else ""


def first_reason(filters: Sequence[Filter], text: str) -> str | None:
    """The reason of the first filter that drops the text."""
    return next((reason for check in filters if (reason := check(text)) is not None), None)


def input_filters(task: TaskSpec, config: FiltersConfig) -> list[Filter]:
    """Empty, length, noise and `filters.extra`: the filters of new inputs that need no memory."""
    return _text_filters(task, config, "input", config.input_length, task.is_classification)


def output_filters(task: TaskSpec, config: FiltersConfig) -> list[Filter]:
    """Empty, noise, `filters.extra` and, for generation tasks, length: the filters of one sampled answer."""
    return _text_filters(task, config, "output", config.output_length, not task.is_classification)


def _text_filters(
    task: TaskSpec, config: FiltersConfig, side: Side, length: str, length_by_default: bool
) -> list[Filter]:
    names = ["length"] if length == "on" or (length == "auto" and length_by_default) else []
    names += ["noise"] if config.noise else []
    filters = [empty, *(FILTERS.load(name)(task, config, side) for name in names)]
    for name in config.extra:
        check = FILTERS.load(name)(task, config, side)
        if check is not None:
            filters.append(_counted_as(name, check))
    return filters


def _counted_as(name: str, check: Filter) -> Filter:
    return lambda text: None if check(text) is None else name


def length(task: TaskSpec, config: FiltersConfig, side: Side) -> Filter:
    """Lengths like those of the demonstrations."""
    texts = [d.input if side == "input" else d.output for d in task.demonstrations]
    return LengthBand.around(texts, config.length_sigmas, config.length_floor, config.length_fallback)


def noise(task: TaskSpec, config: FiltersConfig, side: Side) -> Filter:
    """General noise, unless a demonstration has it, and the task's own; or listed terms alone, to the letter."""
    if config.noise_rule == "reference":
        terms = (*config.noise_terms, *task.noise_terms)
        return lambda text: "noise" if any(term in text for term in terms) else None
    shown = [text for d in task.demonstrations for text in (d.input, d.output)]
    general, of_task = Noise((*GENERAL_NOISE, *config.noise_terms), seen=shown), Noise(task.noise_terms)
    return lambda text: general(text) or of_task(text)

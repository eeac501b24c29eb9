"""Which proposals of the loop are kept. Pure; remembers all that was kept before, in this round and earlier ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from selfguide.config.loop import JudgeConfig
from selfguide.config.schema import FiltersConfig
from selfguide.core.similarity import lcs_f1
from selfguide.core.text import normalised, strip_field_name, strip_quotes
from selfguide.core.types import TaskSpec
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.filters import Filter, empty, first_reason, input_filters
from selfguide.tasks.context import split_context
from selfguide.tasks.labels import extract_label

CLOSING = ('"', "”")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate as the model wrote it, and what it was shown: examples, and the fixed part it continues."""

    candidate: Candidate
    start: str | None = None
    shown: tuple[str, ...] = ()
    opened: bool = False  # the prompt opened a quotation that the text is to close


class Judge:
    """Filters in a fixed order; an accepted candidate is remembered at once.

    `known` are inputs that no proposal may repeat (demonstrations, gold exemplars), `kept` what earlier
    rounds kept. Novelty is judged against both and this round, or against `current` and this round alone.
    """

    def __init__(
        self,
        task: TaskSpec,
        config: JudgeConfig,
        filters: FiltersConfig,
        known: Iterable[str],
        kept: Iterable[Candidate] = (),
        current: Iterable[str] = (),
    ) -> None:
        self.task, self.config = task, config
        self._filters: list[Filter] = [empty, *(input_filters(task, filters) if config.selfguide else ())]
        known, kept = list(known), list(kept)
        self._known = {normalised(text) for text in known}
        self._outputs: dict[str, str | None] = {normalised(c.input): c.output for c in kept}
        scope = [*known, *(c.input for c in kept)] if config.scope == "cumulative" else list(current)
        self._words = [normalised(self._target(text)).split() for text in scope] if config.novelty else []

    def judge(self, proposal: Proposal) -> Candidate:
        """The candidate with its final input, and the reason if it is dropped."""
        text, reason = self._cleaned(proposal)
        candidate = replace(proposal.candidate, input=text)
        candidate = replace(candidate, dropped=candidate.dropped or reason or self._reason(candidate, proposal.shown))
        candidate = self._with_label(candidate)
        self.add(candidate)
        return candidate

    def add(self, candidate: Candidate) -> None:
        """Take in what was judged before (by this run or by the one it resumes)."""
        if candidate.dropped is None:
            self._outputs[normalised(candidate.input)] = candidate.output
            if self.config.novelty:
                self._words.append(normalised(self._target(candidate.input)).split())

    def _cleaned(self, proposal: Proposal) -> tuple[str, str | None]:
        """The text without field name and wrapping quotes, behind its fixed part."""
        text, marker = strip_field_name(proposal.candidate.input), self.task.context_until
        if proposal.start is not None and marker is not None:
            # Chat models like to repeat what they were to go on from.
            repeated = split_context(text, marker)
            if repeated is not None and normalised(repeated.context + marker) == normalised(proposal.start):
                text = repeated.target[len(marker) :].strip()
            elif text.startswith(marker.strip()):
                text = text[len(marker.strip()) :].strip()
        if proposal.opened:
            cut = closing_cut(text)
            if cut is None:
                return text, "no_end"
            text = cut
        needed = self.config.must_contain
        if needed is not None and needed in text:
            text = text[: text.index(needed) + len(needed)]  # it ends there
        text = unquoted(text)
        if proposal.start is not None:
            return (f"{proposal.start} {text}", None) if text else ("", "empty")
        parts = split_context(text, marker)
        if parts is None or marker is None:
            return text, None
        return f"{parts.context}{marker} {unquoted(parts.target[len(marker) :])}", None

    def _reason(self, candidate: Candidate, shown: Sequence[str]) -> str | None:
        text, config = candidate.input, self.config
        reason = first_reason(self._filters, text)
        if reason is not None:
            return reason
        parts = split_context(text, self.task.context_until)
        if self.task.context_until is not None and parts is None:
            return "no_context"
        target = self._target(text)
        if len(target.split()) < config.min_words:
            return "too_few_words"
        if config.must_contain is not None and config.must_contain not in target:
            return "without_required_text"
        answer = candidate.output or ""
        if config.answer_leak and not self.task.is_classification and answer and answer.casefold() in target.casefold():
            return "answer_leak"
        if parts is not None and normalised(target) == normalised(parts.context):
            return "copy_of_context"
        key = normalised(text)
        if key in self._known:
            return "copy_of_known"
        if key in self._outputs:
            before = self._outputs[key]
            return "duplicate" if candidate.output is None or before in (None, candidate.output) else "contradiction"
        if config.overlap is not None and any(word_overlap(text, other) >= config.overlap for other in shown):
            return "copy_of_example"
        words = normalised(target).split()
        if config.novelty is not None and any(lcs_f1(words, other) > config.novelty for other in self._words):
            return "not_novel"
        return None

    def _with_label(self, candidate: Candidate) -> Candidate:
        """An output of a classification task as the task writes it; one that names no label drops the candidate."""
        if candidate.dropped is not None or candidate.output is None or not self.task.is_classification:
            return candidate
        label = extract_label(candidate.output, self.task.labels, self.task.label_extraction)
        return replace(candidate, dropped="no_label") if label is None else replace(candidate, output=label)

    def _target(self, text: str) -> str:
        """The free part of an input: what was asked for, without the marker."""
        parts = split_context(text, self.task.context_until)
        return text if parts is None else parts.target[len(self.task.context_until or "") :].strip()


def unquoted(text: str) -> str:
    """Without quotation marks around the whole text, or one that opens it and was cut off from its other."""
    text = strip_quotes(text)
    closing = {'"': '"', "“": "”", "«": "»"}.get(text[:1])
    return text[1:].strip() if closing is not None and closing not in text[1:] else text


def closing_cut(text: str) -> str | None:
    """Up to the first closing quotation mark, else the end of the line, else the last full stop; None without any."""
    ends = [place for mark in CLOSING if (place := text.find(mark)) >= 0]
    if ends:
        return text[: min(ends)].strip()
    if "\n" in text:
        return text.partition("\n")[0].strip()
    stop = text.rfind(".")
    return None if stop < 0 else text[: stop + 1].strip()


def word_overlap(text: str, example: str) -> float:
    """Share of the example's different words that occur in the text, case and punctuation aside."""
    words = set(normalised(example).split())
    return len(words & set(normalised(text).split())) / len(words) if words else 0.0

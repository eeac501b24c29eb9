"""Which proposals are kept: the text as it is meant, filters, repetitions, the label. One class for every generator.

SELF-GUIDE's judge (`input_judge`) and the loop's (`loop_judge`) differ in their rules alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from selfguide.config.loop import JudgeConfig
from selfguide.config.schema import FiltersConfig
from selfguide.core.similarity import SimilarityIndex
from selfguide.core.text import normalised, strip_field_name, strip_quotes, words_of
from selfguide.core.types import TaskSpec
from selfguide.prompts.neighbours import JointPrompt
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.filters import Filter, empty, first_reason, input_filters
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.replies import closing_cut, unquoted, with_unquoted_target, without_repeated_start
from selfguide.tasks.context import split_context
from selfguide.tasks.labels import extract_label

NO_RULES = JudgeConfig(
    selfguide=True, min_words=0, must_contain=None, answer_leak=False, overlap=None, novelty=None, scope="round"
)


class Repetitions:
    """What was seen before: `known` texts that may not be copied, and every input that was accepted.

    With `limit` (a ROUGE-L F1 of words, 0 to 1) an input is also dropped that is more similar than that to one of
    the `compared`, or to one accepted since. The reasons are named by the two words.
    """

    def __init__(
        self, known: Iterable[str], limit: float | None = None, copy: str = "copy_of_demonstration",
        near: str = "near_duplicate",
    ) -> None:  # fmt: skip
        self._known = {normalised(text) for text in known}
        self._outputs: dict[str, str | None] = {}
        self._limit, self._copy, self._near = limit, copy, near
        self._compared = None if limit is None else SimilarityIndex(limit)

    def remember(self, text: str, output: str | None = None) -> None:
        """An accepted input; a later one with another output contradicts it."""
        self._outputs[normalised(text)] = output

    def compare(self, target: str) -> None:
        """A text that later ones may not be similar to."""
        if self._compared is not None:
            self._compared.add(words_of(target))

    def copy_reason(self, text: str, output: str | None) -> str | None:
        """Why a text is a repetition of another but for case and punctuation."""
        key = normalised(text)
        if key in self._known:
            return self._copy
        if key not in self._outputs:
            return None
        return "duplicate" if output is None or self._outputs[key] in (None, output) else "contradiction"

    def near_reason(self, target: str) -> str | None:
        """Why a text is too similar to one before."""
        if self._compared is None or self._limit is None:
            return None
        limit = self._limit
        return self._near if any(f1 > limit for _, f1 in self._compared.similar(words_of(target))) else None


@dataclass(frozen=True)
class Judge:
    """Judges proposals in order; an accepted one is remembered at once.

    `marker` ends the fixed part of an input (`TaskSpec.context_until`; None: inputs are judged as wholes).
    """

    task: TaskSpec
    rules: JudgeConfig
    filters: Sequence[Filter]
    repetitions: Repetitions | None
    marker: str | None = None
    unquote: Callable[[str], str] = unquoted

    def judge(self, candidate: Candidate, request: ProposalRequest) -> Candidate:
        """The candidate with its final input, and the reason if it is dropped."""
        if candidate.dropped == "cut_off" and self._ends_itself(candidate.input, request):
            candidate = replace(candidate, dropped=None)
        text, reason = self._text(candidate.input, request)
        candidate = replace(candidate, input=text)
        reason = candidate.dropped or reason or self._reason(candidate, request.shown)
        candidate = self._with_label(replace(candidate, dropped=reason))
        self.remember(candidate)
        return candidate

    def remember(self, candidate: Candidate) -> None:
        """Take in what was judged before (by this run or by the one it resumes)."""
        if candidate.dropped is None and self.repetitions is not None:
            self.repetitions.remember(candidate.input, candidate.output)
            self.repetitions.compare(self.target(candidate.input))

    def target(self, text: str) -> str:
        """The free part of an input: what was asked for, without the marker."""
        parts = split_context(text, self.marker)
        return text if parts is None else parts.target[len(self.marker or "") :].strip()

    def _ends_itself(self, reply: str, request: ProposalRequest) -> bool:
        """Whether the text ends before the reply does: at a quotation mark or full stop, or with what it must have."""
        required = self.rules.must_contain
        pair = isinstance(request.prompt, JointPrompt)
        return not pair and (request.open_quote or (required is not None and required in reply))

    def _text(self, reply: str, request: ProposalRequest) -> tuple[str, str | None]:
        """The input without field name and wrapping quotes, behind its fixed part; or why there is none."""
        text, start = strip_field_name(reply), request.start
        if start is not None and self.marker is not None:
            text = without_repeated_start(text, start, self.marker)
        required = self.rules.must_contain
        if required is not None and required in text:
            text = text[: text.index(required) + len(required)]  # it ends there
        elif request.open_quote:
            cut = closing_cut(text)
            if cut is None:
                return text, "no_end"
            text = cut
        text = self.unquote(text)
        if start is not None:
            return (f"{start} {text}", None) if text else ("", "empty")
        return with_unquoted_target(text, self.marker), None

    def _reason(self, candidate: Candidate, shown: Sequence[str]) -> str | None:
        text, rules, repetitions = candidate.input, self.rules, self.repetitions
        reason = first_reason(self.filters, text) or self._form_reason(candidate)
        if reason is not None or repetitions is None:
            return reason
        if reason := repetitions.copy_reason(text, candidate.output):
            return reason
        if rules.overlap is not None and any(word_overlap(text, other) >= rules.overlap for other in shown):
            return "copy_of_example"
        return repetitions.near_reason(self.target(text))

    def _form_reason(self, candidate: Candidate) -> str | None:
        """What the free part lacks, or has too much of."""
        parts, target, rules = split_context(candidate.input, self.marker), self.target(candidate.input), self.rules
        if self.marker is not None and parts is None:
            return "no_context"
        if len(target.split()) < rules.min_words:
            return "too_few_words"
        if rules.must_contain is not None and rules.must_contain not in target:
            return "without_required_text"
        answer = "" if self.task.is_classification else candidate.output or ""
        if rules.answer_leak and answer and answer.casefold() in target.casefold():
            return "answer_leak"
        if parts is not None and normalised(target) == normalised(parts.context):
            return "copy_of_context"
        return None

    def _with_label(self, candidate: Candidate) -> Candidate:
        """An output of a classification task as the task writes it; one that names no label drops the candidate."""
        if candidate.dropped is not None or candidate.output is None or not self.task.is_classification:
            return candidate
        label = extract_label(candidate.output, self.task.labels, self.task.label_extraction)
        return replace(candidate, dropped="no_label") if label is None else replace(candidate, output=label)


def input_judge(task: TaskSpec, filters: FiltersConfig) -> Judge:
    """SELF-GUIDE's judge of new inputs (paper section 3.3)."""
    demonstrations = [d.input for d in task.demonstrations]
    repetitions = Repetitions(demonstrations, filters.near_duplicates) if filters.duplicates else None
    unquote = strip_quotes if filters.strip_quotes else str
    return Judge(task, NO_RULES, input_filters(task, filters), repetitions, unquote=unquote)


def loop_judge(
    task: TaskSpec,
    rules: JudgeConfig,
    filters: FiltersConfig | None,
    known: Sequence[str],
    kept: Sequence[Candidate] = (),
    current: Sequence[str] = (),
) -> Judge:
    """The loop's judge. `filters` are SELF-GUIDE's, if they count too; `known` are not to be repeated.

    `kept` is what earlier rounds kept. Novelty is judged against both and this round, or (`scope: round`) against
    `current` and this round alone.
    """
    checks = [empty] if filters is None else input_filters(task, filters)
    repetitions = Repetitions(known, rules.novelty, "copy_of_known", "not_novel")
    judge = Judge(task, rules, checks, repetitions, task.context_until)
    for candidate in kept:
        repetitions.remember(candidate.input, candidate.output)
    compared = [*known, *(candidate.input for candidate in kept)] if rules.scope == "cumulative" else current
    for text in compared:
        repetitions.compare(judge.target(text))
    return judge


def word_overlap(text: str, example: str) -> float:
    """Share of the example's different words that occur in the text, case and punctuation aside."""
    words = set(words_of(example))
    return len(words & set(words_of(text))) / len(words) if words else 0.0

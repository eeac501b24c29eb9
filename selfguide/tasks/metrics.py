"""The metrics: a prediction and its accepted references to a score from 0 to 1. Pure.

`rouge_l` is the headline of generation tasks and `exact_match` of classification tasks, both as
in the official Super-NaturalInstructions evaluation. `rouge_l_char` is what the reference
implementation of SELF-GUIDE calls ROUGE-L; the two must never share a column.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from selfguide.config.builtin import METRICS
from selfguide.core.similarity import lcs_f1
from selfguide.core.types import Instance, LabelExtraction, TaskSpec
from selfguide.tasks.labels import extract_label, normalized_label
from selfguide.tasks.normalization import UnicodeTokenizer, is_latin, normalize_answer, squad_tokens
from selfguide.tasks.numbers import last_number, number_text, same_number


def score(
    metric: str,
    prediction: str,
    references: Sequence[str],
    *,
    labels: Sequence[str] = (),
    label_extraction: LabelExtraction = "first_line",
) -> float:
    """The score of a model's whole output, the best over the references (`rouge_l_char`: the first).

    With `labels`, exact_match and accuracy score the label extracted from the output, 0 if there
    is none.
    """
    if not references:
        raise ValueError("no references to score against")
    if labels and metric in ("exact_match", "accuracy"):
        label = extract_label(prediction, labels, label_extraction)
        if label is None:
            return 0.0
        prediction = label
    compare = METRICS.load(metric)
    references = references[:1] if metric == "rouge_l_char" else references
    return max(float(compare(prediction, reference)) for reference in references)


def score_task(task: TaskSpec, prediction: str, instance: Instance) -> float:
    """The score of an output by the task's own metric, labels and extraction rule."""
    return score(
        task.metric,
        prediction,
        instance.references,
        labels=task.labels,
        label_extraction=task.label_extraction,
    )


def answer_in(task: TaskSpec, text: str) -> str | None:
    """What the task's metric looks at in an output: its label (None: it names none), number, span, or whole text.

    Outputs with the same answer are one answer in a vote. A metric of one's own takes the whole text.
    """
    if task.is_classification:
        return extract_label(text, task.labels, task.label_extraction)
    read = ANSWERS.get(task.metric, str)
    return read(text) or text


def score_all(task: TaskSpec, predictions: Iterable[str], instances: Sequence[Instance]) -> list[float]:
    """One score to an instance, in their order."""
    return [score_task(task, prediction, row) for prediction, row in zip(predictions, instances, strict=True)]


def exact_match(prediction: str, reference: str) -> float:
    """1 if both are equal after the official normalisation (case, punctuation, white space)."""
    return float(normalize_answer(prediction) == normalize_answer(reference))


def accuracy(prediction: str, reference: str) -> float:
    """1 if both are the same label. Unlike exact_match it tells "C" from "C++"."""
    return float(normalized_label(prediction) == normalized_label(reference))


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L F1 over stemmed words, by the package rouge-score.

    Its tokenizer knows ASCII alone and scores 0 for any other script. There (less than half of
    the reference's letters are ASCII) words are those of Unicode, and single characters in
    scripts without spaces. (The official evaluation takes GPT-2's byte-level BPE pieces there.)
    """
    scorer = _rouge_scorer(is_latin(reference))
    return float(scorer.score(reference, prediction)["rougeL"].fmeasure)


def rouge_l_char(prediction: str, reference: str) -> float:
    """F1 of the longest common subsequence of characters: for comparison with the reference code."""
    return lcs_f1(prediction, reference)


def squad_exact(prediction: str, reference: str) -> float:
    """SQuAD's exact match: case, punctuation, white space and the articles a, an and the do not count."""
    return float(squad_tokens(prediction) == squad_tokens(reference))


def token_f1(prediction: str, reference: str) -> float:
    """SQuAD's F1 over bags of words without articles; two empty texts agree."""
    ours, theirs = squad_tokens(prediction), squad_tokens(reference)
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * sum((Counter(ours) & Counter(theirs)).values()) / (len(ours) + len(theirs))


def numeric_match(prediction: str, reference: str) -> float:
    """1 if both give the same number: the one after `####`, else their last.

    A reference without a number asks for its words, as exact_match.
    """
    ours, theirs = last_number(prediction), last_number(reference)
    if theirs is None:
        return exact_match(prediction, reference)
    return float(ours is not None and same_number(ours, theirs))


def _number(text: str) -> str:
    number = last_number(text)
    return normalize_answer(text) if number is None else number_text(number)


def _span(text: str) -> str:
    return " ".join(squad_tokens(text))


ANSWERS: dict[str, Callable[[str], str]] = {
    "exact_match": normalize_answer,
    "accuracy": normalized_label,
    "numeric_match": _number,
    "squad_exact": _span,
    "token_f1": _span,
}
"""What these metrics compare of a text; "" where that is nothing."""


@cache
def _rouge_scorer(latin: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # half a second to import

    return RougeScorer(["rougeL"], use_stemmer=True, tokenizer=None if latin else UnicodeTokenizer())

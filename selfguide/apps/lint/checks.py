"""The linter's checks: what would spoil a result, before a model is asked."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selfguide.config.schema import FiltersConfig
from selfguide.core.types import Instance, Split, TaskSpec
from selfguide.evaluation.floors import majority_class
from selfguide.evaluation.statistics import detectable_difference, margin_of_error
from selfguide.prompts.selfguide import Prompt, answer_prompt
from selfguide.synthesis.filters import LengthBand
from selfguide.tasks.gold import SPLITS, GoldData
from selfguide.tasks.normalization import is_latin, normalize_answer
from selfguide.tasks.raw import normalized

Severity = Literal["warning", "note"]
Encode = Callable[[Prompt], Sequence[int]]
# Prompts are measured for this many of a split's longest inputs: characters foretell tokens well.
MEASURED = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know ("note") or to mend ("warning") about a task."""

    severity: Severity
    check: str
    message: str


Findings = Iterator[Finding]
Rows = dict[Split, tuple[Instance, ...]]


def lint_task(
    task: TaskSpec,
    gold: GoldData,
    encode: Encode | None = None,
    context_length: int | None = None,
    filters: FiltersConfig | None = None,
) -> list[Finding]:
    """All findings, warnings first.

    `encode` gives a prompt's token ids and `context_length` the tokens a model takes; without
    them prompts are not measured. With `filters` the gold is held against their length band. The
    gold is opened for the purpose "lint": `selfguide.search.protocol_check.AccessCounter` counts it.
    """
    rows: Rows = {split: gold.open(split, "lint") for split in SPLITS if gold.count(split)}
    findings = [
        *_demonstrations(task, gold),
        *_duplicates(rows),
        *_empty(rows),
        *(_labels(task) if task.labels else ()),
        *(_labels_in_gold(task, rows) if task.labels else ()),
        *_noise_terms(task, rows),
        *_scripts(task, rows),
        *_prompt_lengths(task, rows, encode, context_length),
        *(() if filters is None else _length_band(task, rows, filters)),
        *_majority(task, rows),
        *_size(rows),
    ]
    return sorted(findings, key=lambda finding: finding.severity != "warning")


def _demonstrations(task: TaskSpec, gold: GoldData) -> Findings:
    inputs = [demonstration.input for demonstration in task.demonstrations]
    for split in SPLITS:
        if gold.counts(split).dropped:
            counts = gold.counts(split)
            yield Finding(
                "warning",
                "demonstrations in gold",
                f"{counts.dropped} of {counts.published} {split} instances have a demonstration's input: dropped",
            )
        alike = [overlap for overlap in gold.overlaps(split, inputs) if overlap.kind == "exact"]
        if alike:
            yield Finding(
                "warning",
                "demonstrations in gold",
                f"{len(alike)} demonstrations equal a {split} input but for case and punctuation: "
                f"{_short(alike[0].matched)}",
            )
    if len({normalized(text) for text in inputs}) < len(inputs):
        yield Finding("warning", "duplicates", "two demonstrations have the same input")
    if len(inputs) == 1:
        yield Finding("note", "demonstrations", "only one demonstration: the length filter has to guess")


def _duplicates(rows: Rows) -> Findings:
    seen: dict[str, tuple[Split, str]] = {}
    same: Counter[Split] = Counter()
    across, conflicting = 0, 0
    for split, instances in rows.items():
        for instance in instances:
            key = normalized(instance.input)
            if key not in seen:
                seen[key] = (split, normalize_answer(instance.references[0]))
                continue
            first, answer = seen[key]
            same[split] += first == split
            across += first != split
            conflicting += answer != normalize_answer(instance.references[0])
    for split, count in same.items():
        if count:
            yield Finding("warning", "duplicates", f"{count} {split} instances repeat the input of another")
    if across:
        yield Finding("warning", "duplicates", f"{across} test instances have the input of a validation instance")
    if conflicting:
        yield Finding("warning", "duplicates", f"{conflicting} of the repeated inputs have different outputs")


def _empty(rows: Rows) -> Findings:
    for split, instances in rows.items():
        inputs = sum(not instance.input.strip() for instance in instances)
        outputs = sum(not any(reference.strip() for reference in instance.references) for instance in instances)
        if inputs:
            yield Finding("warning", "empty", f"{inputs} {split} instances have an empty input")
        if outputs:
            yield Finding("warning", "empty", f"{outputs} {split} instances have no reference but an empty one")


def _labels(task: TaskSpec) -> Findings:
    for index, label in enumerate(task.labels):
        for other in task.labels[index + 1 :]:
            if label.casefold() == other.casefold():
                yield Finding("warning", "label case", f"{label!r} and {other!r} differ only in case")
            elif normalize_answer(label) == normalize_answer(other):
                yield Finding(
                    "warning",
                    "labels alike",
                    f"exact_match takes {label!r} and {other!r} for equal; use metric=accuracy",
                )
            short, long = sorted((label, other), key=len)
            if short.casefold() in long.casefold() and short.casefold() != long.casefold():
                risky = task.label_extraction == "reference"
                yield Finding(
                    "warning" if risky else "note",
                    "label in label",
                    f"{short!r} is a part of {long!r}; "
                    + (
                        "label_extraction=reference confuses them"
                        if risky
                        else "labels are matched as whole words, the longest first"
                    ),
                )
    shown = {demonstration.output for demonstration in task.demonstrations}
    for label in task.labels:
        if label != normalized(label):
            yield Finding("warning", "label spaces", f"{label!r} has stray white space")
        if label not in shown:
            yield Finding("warning", "label not shown", f"no demonstration has the output {label!r}")


def _labels_in_gold(task: TaskSpec, rows: Rows) -> Findings:
    for split, instances in rows.items():
        references = Counter(reference for instance in instances for reference in instance.references)
        folded = {normalized(reference).casefold() for reference in references}
        for label in task.labels:
            if label.casefold() not in folded:
                yield Finding("warning", "label absent", f"no {split} instance has the label {label!r}")
        known = {label.casefold() for label in task.labels}
        strange = {text: n for text, n in references.items() if normalized(text).casefold() not in known}
        if strange:
            yield Finding(
                "warning",
                "unknown label",
                f"{sum(strange.values())} {split} references are no label, e.g. {_short(next(iter(strange)))}",
            )
        respelt = sum(n for text, n in references.items() if text not in task.labels and text not in strange)
        if respelt:
            yield Finding(
                "note", "label spelling", f"{respelt} {split} references differ from their label in case or white space"
            )


def _noise_terms(task: TaskSpec, rows: Rows) -> Findings:
    for term in task.noise_terms:
        if not term.strip():
            continue
        if any(term.casefold() in f"{shot.input}\n{shot.output}".casefold() for shot in task.demonstrations):
            yield Finding(
                "warning", "noise terms", f"{term!r} occurs in a demonstration; good synthetic texts will be dropped"
            )
        inputs = [instance.input for instances in rows.values() for instance in instances]
        share = sum(term.casefold() in text.casefold() for text in inputs) / max(1, len(inputs))
        if share >= 0.01:
            yield Finding("note", "noise terms", f"{term!r} occurs in {share:.0%} of the gold inputs")


def _scripts(task: TaskSpec, rows: Rows) -> Findings:
    if task.metric != "rouge_l":
        return
    for split, instances in rows.items():
        other = sum(not is_latin(reference) for row in instances for reference in row.references)
        if other:
            yield Finding(
                "note",
                "script",
                f"{other} {split} references are not in Latin script; rouge_l cuts them into Unicode words",
            )


def _prompt_lengths(task: TaskSpec, rows: Rows, encode: Encode | None, context_length: int | None) -> Findings:
    if encode is None or context_length is None:
        return
    for split, instances in rows.items():
        longest_first = sorted(instances, key=lambda instance: -len(instance.input))[:MEASURED]
        lengths = [len(encode(answer_prompt(task, instance.input))) for instance in longest_first]
        over = sum(length >= context_length for length in lengths)
        bare = len(encode(answer_prompt(task, "")))
        said = f"the longest {split} prompt has {max(lengths)} tokens ({bare} without the input) of {context_length}"
        if over:
            more = "at least " if over == MEASURED else ""
            yield Finding("warning", "prompt length", f"{said}; {more}{over} do not fit; lower task.num_demonstrations")
        else:
            yield Finding("note", "prompt length", said)


def _length_band(task: TaskSpec, rows: Rows, filters: FiltersConfig) -> Findings:
    """What share of the gold the length filter would drop if it were synthetic."""
    shown = {"input": [d.input for d in task.demonstrations], "output": [d.output for d in task.demonstrations]}
    for side, texts in shown.items():
        if not texts or (side == "output" and task.is_classification):
            continue
        setting = filters.input_length if side == "input" else filters.output_length
        used = setting == "on" or (setting == "auto" and (side == "input") == task.is_classification)
        band = LengthBand.around(texts, filters.length_sigmas, filters.length_floor, filters.length_fallback)
        for split, instances in rows.items():
            gold = [row.input if side == "input" else row.references[0] for row in instances]
            share = sum(band(text) is not None for text in gold) / len(gold)
            if share >= 0.1:
                would = "drops" if used else "would drop"
                yield Finding(
                    "warning" if used else "note",
                    "length band",
                    f"filters.{side}_length={setting} {would} {share:.0%} of the {split} {side}s, were they synthetic: "
                    f"the demonstrations' band is {band.low:.0f} to {band.high:.0f} characters; "
                    "filters.length_floor widens it",
                )


def _majority(task: TaskSpec, rows: Rows) -> Findings:
    if not task.is_classification:
        return
    for split, instances in rows.items():
        floor = majority_class(task, instances)
        skewed = floor.mean > 1.25 / len(task.labels)
        yield Finding(
            "warning" if skewed else "note",
            "majority floor",
            f"always answering {floor.answer!r} scores {floor.mean:.1%} on the {split} split",
        )


def _size(rows: Rows) -> Findings:
    if not rows:
        yield Finding("note", "no instances", "nothing will be measured: the run makes only data and a model")
    for split, instances in rows.items():
        n = len(instances)
        yield Finding(
            "warning" if n < 100 else "note",
            "detectable difference",
            f"n={n} on the {split} split: scores are accurate to ±{100 * margin_of_error(n):.1f} points (95 %), and "
            f"a gain under about {100 * detectable_difference(n):.1f} points is likely to be missed",
        )


def _short(text: str) -> str:
    flat = normalized(text)
    return repr(flat if len(flat) <= 60 else f"{flat[:57]}…")

"""Signs that a synthetic set is not what it should be. Pure; looks at no gold."""

from collections import Counter
from collections.abc import Iterator, Sequence

from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.dataset import vanished_labels
from selfguide.types import Example, TaskSpec

FEW_ROWS = 20


def warnings_about(task: TaskSpec, candidates: Sequence[Candidate], pairs: Sequence[Example]) -> Iterator[str]:
    """One line for each thing a user should know before believing the result."""
    if not pairs:
        yield (
            "the synthetic data set is EMPTY: every proposal was dropped (see the reasons above); "
            "the base model's score stands for the method"
        )
        return
    if len(pairs) < FEW_ROWS:
        yield f"only {len(pairs)} synthetic pairs: raise generation.rounds, or loosen the filter that dropped most"
    repeated = sum(c.dropped in ("duplicate", "near_duplicate", "copy_of_demonstration") for c in candidates)
    if candidates and repeated > len(candidates) / 2:
        yield f"{repeated} of {len(candidates)} proposals repeat earlier ones: raise temperature.input"
    if task.is_classification:
        yield from _label_warnings(task, candidates, pairs)
    else:
        output, count = Counter(pair.output for pair in pairs).most_common(1)[0]
        if len(pairs) >= FEW_ROWS and count > len(pairs) / 2:
            yield f"{count} of {len(pairs)} synthetic outputs are the same: {output!r}"
        copies = sum(pair.input.strip() == pair.output.strip() for pair in pairs)
        if copies > len(pairs) / 2 and not any(d.input.strip() == d.output.strip() for d in task.demonstrations):
            yield f"{copies} of {len(pairs)} synthetic outputs only repeat their input"


def label_agreement(candidates: Sequence[Candidate]) -> float | None:
    """Share of voted inputs whose elected label is the one they were asked for."""
    voted = [c for c in candidates if c.label is not None and c.output is not None]
    return sum(c.label == c.output for c in voted) / len(voted) if voted else None


def _label_warnings(task: TaskSpec, candidates: Sequence[Candidate], pairs: Sequence[Example]) -> Iterator[str]:
    lost = vanished_labels(task, pairs)
    if lost:
        yield f"no synthetic pair has the label {', '.join(map(repr, lost))}: the finetuned model may never answer it"
    elected = Counter(c.output for c in candidates if c.output is not None)
    if elected and elected.most_common(1)[0][1] > 0.8 * elected.total():
        label, count = elected.most_common(1)[0]
        yield f"{count} of {elected.total()} elected labels are {label!r}: the votes are nearly of one label"
    agreement = label_agreement(candidates)
    chance = 1 / len(task.labels)
    if agreement is not None and len(pairs) >= FEW_ROWS and agreement < chance + 0.1:
        yield (
            f"elected and asked-for labels agree on {agreement:.0%} (chance {chance:.0%}): "
            "the model does not follow the label it is asked for, or cannot tell the labels apart"
        )

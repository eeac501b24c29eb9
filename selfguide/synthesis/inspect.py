"""Signs that a synthetic set is not what it should be. Pure; looks at no gold."""

from collections import Counter
from collections.abc import Iterator, Sequence

from selfguide.core.similarity import lcs_f1
from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.dataset import vanished_labels

FEW_ROWS = 20
REPEATED = ("duplicate", "near_duplicate", "copy_of_demonstration")
# Inputs are compared with each other, so with as many as take no time.
MEASURED = 200
ALIKE = 0.9


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
    repeated = sum(c.dropped in REPEATED for c in candidates)
    if candidates and repeated > len(candidates) / 2:
        yield f"{repeated} of {len(candidates)} proposals repeat earlier ones: raise temperature.input"
    yield from _input_warnings(candidates, repeated)
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


def _input_warnings(candidates: Sequence[Candidate], repeated: int) -> Iterator[str]:
    proposed = len(candidates)
    accepted = [c.input.split() for c in candidates if c.dropped is None or c.samples]
    bad = Counter(c.dropped for c in candidates if c.dropped is not None and not c.samples)
    if bad.total() - repeated > proposed / 2:
        reason, count = next((r, n) for r, n in bad.most_common() if r not in REPEATED)
        yield f"{bad.total()} of {proposed} proposals were dropped, {count} as {reason}: most are unusable"
    looked = accepted[:MEASURED]
    alike = sum(any(lcs_f1(one, other) > ALIKE for other in looked if other is not one) for one in looked)
    if len(looked) >= FEW_ROWS and alike > len(looked) / 2:
        yield (
            f"{alike} of {len(looked)} accepted inputs nearly repeat another one (ROUGE-L above {ALIKE}): "
            "raise temperature.input, or set filters.near_duplicates"
        )


def _label_warnings(task: TaskSpec, candidates: Sequence[Candidate], pairs: Sequence[Example]) -> Iterator[str]:
    lost = vanished_labels(task, pairs)
    if lost:
        yield f"no synthetic pair has the label {', '.join(map(repr, lost))}: the finetuned model may never answer it"
    elected = Counter(c.output for c in candidates if c.output is not None)
    if elected and elected.most_common(1)[0][1] > 0.8 * elected.total():
        label, count = elected.most_common(1)[0]
        yield f"{count} of {elected.total()} elected labels are {label!r}: nearly all votes are for one label"
    agreement = label_agreement(candidates)
    chance = 1 / len(task.labels)
    if agreement is not None and len(pairs) >= FEW_ROWS and agreement < chance + 0.1:
        yield (
            f"elected and requested labels agree on {agreement:.0%} (chance {chance:.0%}): "
            "the model ignores the requested label, or cannot tell the labels apart"
        )

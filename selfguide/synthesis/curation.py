"""Which synthetic pairs are kept, given how confident a model was of each, once or over a training. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from selfguide.config.curation import CurationConfig
from selfguide.core.types import Example


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean confidence, 0 to 1, and its standard deviation over epochs (0 with one of them)."""

    confidence: float
    variability: float = 0.0

    @classmethod
    def of_losses(cls, losses: Sequence[float | None]) -> Self | None:
        """From a row's mean token losses, one for each set of weights; None if it could not be scored."""
        known = [math.exp(-loss) for loss in losses if loss is not None]
        return cls(statistics.fmean(known), statistics.pstdev(known)) if known else None


def reasons_to_drop(
    pairs: Sequence[Example], qualities: Sequence[Quality | None], labels: Sequence[str], config: CurationConfig
) -> list[str | None]:
    """For each pair why it is dropped, or None. Of rows equally confident the later one goes first."""
    reasons: list[str | None] = [None if quality is not None else "too_long" for quality in qualities]
    groups: dict[str, list[tuple[float, int]]] = {}
    for index, (pair, quality) in enumerate(zip(pairs, qualities, strict=True)):
        if quality is None:
            continue
        group = pair.output if labels and config.within_labels else ""
        groups.setdefault(group, []).append((quality.confidence, -index))
        if config.min_confidence is not None and quality.confidence < config.min_confidence:
            reasons[index] = "low_confidence"
        elif (
            config.kind == "dynamics"
            and quality.confidence < config.hard_confidence
            and quality.variability < config.hard_variability
        ):
            reasons[index] = "never_learned"
    for ranked in groups.values():
        for _, behind in sorted(ranked)[: int(config.drop_share * len(ranked))]:
            reasons[-behind] = reasons[-behind] or "least_confident"
    return reasons


def judged_wrong(
    pairs: Sequence[Example], qualities: Sequence[Quality | None], labels: Sequence[str], config: CurationConfig
) -> list[str | None]:
    """`reasons_to_drop` of a judge's ratings: those below the threshold."""
    reasons = reasons_to_drop(pairs, qualities, labels, config)
    return ["judged_wrong" if reason == "low_confidence" else reason for reason in reasons]

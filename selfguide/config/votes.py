"""Votes that the loop is to diagnose by must be able to disagree."""

from collections.abc import Iterator

from selfguide.config.loop import LoopConfig
from selfguide.config.schema import AnnotationConfig


def vote_problems(method: LoopConfig, annotation: AnnotationConfig) -> Iterator[str]:
    """One line where `diagnose.source=votes` can find no disagreement."""
    diagnose, samples = method.diagnose, annotation.samples
    by_errors = diagnose.select == "wrong" or diagnose.match_errors
    if diagnose.source != "votes" or method.loop.rounds == 0 or not by_errors:
        return
    if samples == 1:
        yield "annotation.samples: 1 is not allowed; allowed: >= 2, as method.diagnose.source=votes (one answer agrees)"
    elif annotation.conditioning_label_weight == 0 and diagnose.share_below <= 1 / samples:
        yield (
            f"method.diagnose.share_below: {diagnose.share_below:g} is not allowed; allowed: > {1 / samples:g}, the "
            f"least share of an elected answer with annotation.samples={samples}"
        )

"""What a method hands to the evaluation."""

from dataclasses import dataclass, field

from selfguide.engines.base import Weights
from selfguide.synthesis.candidates import Candidate
from selfguide.types import Example


@dataclass(frozen=True, slots=True)
class Outcome:
    """`weights` is None where nothing was finetuned: the score is then the base model's.

    `status` is "empty_dataset" when a method that should have trained found nothing to train on.
    """

    weights: Weights | None = None
    status: str = "ok"
    candidates: tuple[Candidate, ...] = ()
    pairs: tuple[Example, ...] = ()
    warnings: tuple[str, ...] = field(default=())

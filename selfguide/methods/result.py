"""What a method hands to the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfguide.core.types import Example, TaskSpec
from selfguide.evaluation.predict import Predictor, System
from selfguide.models.base import Weights
from selfguide.synthesis.budget import BudgetReport
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.stages import Dataset


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What answers for the method: finetuned `weights`, other `demonstrations` in the prompt, or a `predictor`.

    With none of them the score is the base model's. `status` is "empty_dataset" when a method that
    should have made data found nothing to use. `diagnostics` is any JSON, kept in `result.json`.
    `epochs` are the weights after each epoch, of which `weights` is one. `pairs` are what was trained on (or shown),
    `demonstration_copies` the rows of the training beside them; no candidate that is kept is missing among `pairs`.
    """

    weights: Weights | None = None
    status: str = "ok"
    candidates: tuple[Candidate, ...] = ()
    pairs: tuple[Example, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    demonstrations: tuple[Example, ...] | None = None
    predictor: Predictor | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    epochs: tuple[Weights, ...] = ()
    demonstration_copies: int = 0
    budget: BudgetReport | None = None

    @property
    def system(self) -> System | None:
        """How the method's answers are made; None: as the base model with the task's demonstrations."""
        system = System(self.weights, self.demonstrations, self.predictor)
        return None if system == System() else system


def result_of(task: TaskSpec, dataset: Dataset) -> MethodResult:
    """What there is before a student is trained on a data set, with warnings about it."""
    return MethodResult(
        status="ok" if dataset.pairs else "empty_dataset",
        candidates=dataset.candidates,
        pairs=dataset.pairs,
        warnings=tuple(warnings_about(task, dataset.candidates, dataset.pairs)),
    )

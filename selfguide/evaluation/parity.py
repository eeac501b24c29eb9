"""The adapter canary: before a tuned score is believed, does the engine serve what was trained?

Three questions, on up to 32 training rows (see `selfguide.training.reference`):
the weights change the model's log-probabilities; the engine's log-probability of the answers is
the trainer's; the prompts that an evaluation sends are, id for id, the prompts trained on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfguide.core.errors import EngineError
from selfguide.models.base import Engine, ScoreRequest, Weights
from selfguide.training.reference import FILE

TOLERANCE = {"float32": 0.01, "bfloat16": 0.1, "float16": 0.1}
"""Mean absolute difference per token, in nats, between the engine and the trainer in that dtype."""
QUANTIZED = 0.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the canary saw: differences in nats per token."""

    weights: str
    rows: int
    base_to_trainer: float
    engine_to_trainer: float
    largest_change: float
    tolerance: float
    prompts_equal: bool

    @property
    def learned(self) -> bool:
        """Whether the trainer's own log-probabilities are no longer the base model's."""
        return self.base_to_trainer > self.tolerance / 10

    def red(self) -> str | None:
        """The reason why tuned scores must not be believed; None if all is well."""
        if not self.prompts_equal:
            return "the prompts served are not the prompts trained on (tokenizer, template or renderer changed)"
        if self.largest_change == 0 and self.learned:
            return "the finetuned weights change no log-probability: the engine ignores them"
        if self.engine_to_trainer > self.tolerance:
            return (
                f"the engine's log-probability of training answers differs from the trainer's by "
                f"{self.engine_to_trainer:.3g} a token (tolerance {self.tolerance:g})"
            )
        if self.learned and self.engine_to_trainer > self.base_to_trainer:
            return "the engine's answers are closer to the base model's than to the finetuned model's"
        return None


def check(engine: Engine, weights: Weights, served: Mapping[int, tuple[int, ...]], tolerance: float) -> dict[str, Any]:
    """The verdict as a dict. `served` has the prompt ids of training rows, by number, as an evaluation sends them.

    Raises `EngineError` with the reason if the canary is red.
    """
    reference = read(weights.path)
    rows = reference["rows"]
    requests = [ScoreRequest(tuple(row["prompt"]), tuple(row["answer"]), weights) for row in rows]
    tuned = engine.score(requests)
    base = engine.score([ScoreRequest(request.prompt_ids, request.completion_ids) for request in requests])
    pairs = list(zip(tuned, base, (row["logprobs"] for row in rows), strict=True))
    verdict = Verdict(
        weights=weights.name,
        rows=len(rows),
        base_to_trainer=_distance((b, t) for _, b, t in pairs),
        engine_to_trainer=_distance((e, t) for e, _, t in pairs),
        largest_change=max(abs(a - b) for e, own, _ in pairs for a, b in zip(e, own, strict=True)),
        tolerance=tolerance,
        prompts_equal=all(served.get(row["row"]) == tuple(row["prompt"]) for row in rows),
    )
    if reason := verdict.red():
        raise EngineError(f"canary: weights {weights.name}: {reason}; nothing that they answer is used")
    return {**asdict(verdict), "learned": verdict.learned}


def read(folder: Path) -> dict[str, Any]:
    """The trainer's own log-probabilities beside the weights. Raises `EngineError` if there are none."""
    path = folder / FILE
    if not path.exists():
        raise EngineError(f"canary: {folder} has no {FILE}: the weights are not from a training of this version")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def tolerance_for(served: str, trained: str, quantized: bool) -> float:
    """The tolerance between an engine that serves in one dtype and a trainer in another."""
    return QUANTIZED if quantized else max(TOLERANCE[served], TOLERANCE[trained])


def _distance(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    differences = [abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True)]
    return sum(differences) / len(differences)

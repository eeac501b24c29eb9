"""The parity check ("canary"): before a tuned score is believed, does the engine serve what was trained?

Four questions, on up to 32 training rows (see `selfguide.training.reference`): the weights change the model's
log-probabilities; the engine's log-probability of the answers is the trainer's; the prompts that an evaluation sends
are, id for id, the prompts trained on; the base model scores a text in a batch as alone.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import EngineError
from selfguide.core.files import read_examples
from selfguide.core.types import Example, TaskSpec
from selfguide.evaluation.predict import prompt_ids
from selfguide.models.base import Engine, ScoreRequest, Weights
from selfguide.models.loading import pick_device, torch_dtype
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Stage, StoredStage, Workspace
from selfguide.training.reference import FILE
from selfguide.training.rows import build_rows, demonstrations_shown
from selfguide.training.stages import PAIRS

TOLERANCE = {"float32": 0.01, "bfloat16": 0.1, "float16": 0.1}
"""Mean absolute difference per token, in nats, between the engine and the trainer in that dtype."""
QUANTIZED = 0.3


@dataclass(frozen=True)
class Evidence:
    """What a training left beside its weights: its log-probabilities of some rows, and the pairs behind all rows."""

    reference: dict[str, Any]
    pairs: tuple[Example, ...]
    leave_one_out: bool

    @classmethod
    def of(cls, weights: Weights) -> Self:
        """Raises `EngineError` if there is none."""
        reference, training = read_reference(weights), weights.path.parent
        pairs = read_examples(training / PAIRS)
        alone = bool(json.loads((training / "spec.json").read_text(encoding="utf-8"))["leave_one_out"])
        return cls(reference, pairs, alone)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the canary saw: differences in nats per token."""

    weights: str
    rows: int
    base_to_trainer: float
    engine_to_trainer: float
    largest_change: float
    batch_to_alone: float
    tolerance: float
    prompts_equal: bool

    @property
    def learned(self) -> bool:
        """Whether the trainer's own log-probabilities are no longer the base model's."""
        return self.base_to_trainer > self.tolerance / 10

    def red(self) -> str | None:
        """The reason why tuned scores must not be believed; None if all is well."""
        if not self.prompts_equal:
            return "the prompts differ from those in training (the tokenizer, template or renderer changed)"
        if self.batch_to_alone > self.tolerance:
            return (
                f"the engine's log-probability of an answer in a batch differs from the one alone by "
                f"{self.batch_to_alone:.3g} a token (tolerance {self.tolerance:g})"
            )
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


@dataclass(frozen=True)
class CheckWeights(Stage[dict[str, Any]]):
    """The verdict on finetuned weights, as a dict. A red one raises `EngineError` and is not kept."""

    kind: ClassVar[str] = "canary"
    version: ClassVar[int] = 2

    model: LanguageModel
    task: TaskSpec
    weights: Weights
    evidence: Evidence
    finetuning: FinetuningConfig
    seed: int
    tolerance: float | None

    def build(self, work: Workspace) -> dict[str, Any]:
        before = self.model.engine.tokens.copy()
        tolerance = self._default_tolerance() if self.tolerance is None else self.tolerance
        verdict = check(self.model.engine, self.weights, self.served_rows(), tolerance)
        return {"verdict": verdict, "tokens": (self.model.engine.tokens - before).as_info()}

    def reads(self) -> Iterable[Path]:
        return (self.weights.path,)

    def load(self, stored: StoredStage) -> dict[str, Any]:
        verdict: dict[str, Any] = stored.info["verdict"]
        return verdict

    def served_rows(self) -> dict[int, tuple[int, ...]]:
        """Prompt ids of the rows that the trainer vouched for, by number, as `predict` sends them to the engine."""
        task, tokenizer, seed = self.task, self.model.tokenizer, self.seed
        pairs, alone = self.evidence.pairs, self.evidence.leave_one_out
        indices = build_rows(task, pairs, tokenizer, self.finetuning, seed, alone).indices
        served = {}
        for number in (row["row"] for row in self.evidence.reference["rows"]):
            if number < len(indices):
                index = indices[number]
                pair = pairs[index]
                shown = demonstrations_shown(task, pair, index, self.finetuning, seed, alone)
                usual = shown == tuple(task.demonstrations)
                served[number] = prompt_ids(tokenizer, task, pair.input, None if usual else shown)
        return served

    def _default_tolerance(self) -> float:
        config = self.model.config
        served = str(torch_dtype(config.model.dtype, pick_device("auto"))).removeprefix("torch.")
        quantized = self.finetuning.quantization != "none" or getattr(config.engine, "quantization", None) is not None
        return tolerance_for(served, self.evidence.reference["dtype"], quantized)


def trusted(session: Session, weights: Weights) -> dict[str, Any] | None:
    """The verdict on these weights, before anything that they answer is used; None with `evaluation.canary=false`.

    A stage of its own: answers that are in the store are not believed without it. Raises `EngineError`
    with the reason if the engine does not serve the weights.
    """
    config = session.config
    if not config.evaluation.canary:
        return None
    stage = CheckWeights(
        model=session.student,
        task=session.task,
        weights=weights,
        evidence=Evidence.of(weights),
        finetuning=config.finetuning,
        seed=config.seed,
        tolerance=config.evaluation.canary_tolerance,
    )
    verdict = session.run(f"canary_{weights.name}", stage).value
    if not verdict["learned"]:
        session.warn_once(f"weights {weights.name}: finetuning hardly changed the model")
    return verdict


def check(engine: Engine, weights: Weights, served: Mapping[int, tuple[int, ...]], tolerance: float) -> dict[str, Any]:
    """The verdict as a dict. `served` has the prompt ids of training rows, by number, as an evaluation sends them.

    Raises `EngineError` with the reason if the canary is red.
    """
    rows = read_reference(weights)["rows"]
    requests = [ScoreRequest(tuple(row["prompt"]), tuple(row["answer"]), weights) for row in rows]
    tuned = engine.score(requests)
    plain = [replace(request, weights=None) for request in requests]
    base = engine.score(plain)
    by_length = sorted(range(len(plain)), key=lambda i: len(plain[i].prompt_ids))
    lone = {i: engine.score([plain[i]])[0] for i in (by_length[0], by_length[-1])}
    trained = [row["logprobs"] for row in rows]
    verdict = Verdict(
        weights=weights.name,
        rows=len(rows),
        base_to_trainer=_distance(zip(base, trained, strict=True)),
        engine_to_trainer=_distance(zip(tuned, trained, strict=True)),
        largest_change=max(
            abs(a - b) for left, right in zip(tuned, base, strict=True) for a, b in zip(left, right, strict=True)
        ),
        batch_to_alone=max(_distance([(base[i], values)]) for i, values in lone.items()),
        tolerance=tolerance,
        prompts_equal=all(served.get(row["row"]) == tuple(row["prompt"]) for row in rows),
    )
    if reason := verdict.red():
        raise EngineError(f"canary: weights {weights.name}: {reason}; their answers are not used")
    return {**asdict(verdict), "learned": verdict.learned}


def read_reference(weights: Weights) -> dict[str, Any]:
    """The trainer's own log-probabilities: {dtype, rows}. Raises `EngineError` if there are none beside the weights."""
    path = weights.path / FILE
    if not path.exists():
        raise EngineError(f"canary: {weights.path} has no {FILE}: the weights are not from a training of this version")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def tolerance_for(served: str, trained: str, quantized: bool) -> float:
    """The tolerance between an engine that serves in one dtype and a trainer in another."""
    return QUANTIZED if quantized else max(TOLERANCE[served], TOLERANCE[trained])


def _distance(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    differences = [abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True)]
    return sum(differences) / len(differences)

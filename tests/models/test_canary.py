"""The adapter canary: green for what was trained, red with its reason for everything else."""

from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.core.errors import EngineError
from selfguide.evaluation.canary import check, tolerance_for
from selfguide.models.base import ScoreRequest, Weights
from selfguide.models.hf import HFEngine
from selfguide.training.reference import ROWS, reference_indices, write_reference_logprobs
from selfguide.training.rows import TrainingRow
from tests.models.checkpoints import engine_config, model_config, tiny_adapter, tiny_model

ROWS_TRAINED = [TrainingRow((10 + i, 20, 30, 40), (50, 60 + i, 1)) for i in range(40)]
SERVED = {number: row.prompt_ids for number, row in enumerate(ROWS_TRAINED)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[HFEngine, Weights, Weights]:
    """An engine, an adapter with the trainer's word on it, and another adapter."""
    base = tiny_model(tmp_path_factory.mktemp("base"))
    adapter, other = (tiny_adapter(base, tmp_path_factory.mktemp("adapter"), seed) for seed in (1, 2))
    engine = HFEngine(model_config(base), engine_config())
    with engine._adapters.use(adapter) as model:
        write_reference_logprobs(model, ROWS_TRAINED, adapter.path)
    return engine, adapter, other


def test_green_for_what_was_trained(trained: tuple[HFEngine, Weights, Weights]) -> None:
    engine, adapter, _ = trained
    verdict = check(engine, adapter, SERVED, 0.01)
    assert verdict["rows"] == ROWS
    assert verdict["engine_to_trainer"] < 1e-4 < verdict["base_to_trainer"]
    assert verdict["batch_to_alone"] < 1e-4


def test_red_for_another_adapter(trained: tuple[HFEngine, Weights, Weights]) -> None:
    engine, adapter, other = trained
    (other.path / "reference_logprobs.json").write_bytes((adapter.path / "reference_logprobs.json").read_bytes())
    with pytest.raises(EngineError, match="differs from the trainer's"):
        check(engine, other, SERVED, 0.01)


def test_red_for_an_engine_that_ignores_adapters(trained: tuple[HFEngine, Weights, Weights]) -> None:
    engine, adapter, _ = trained

    class Ignoring:
        def score(self, requests: list[ScoreRequest]) -> list[tuple[float, ...]]:
            return engine.score([replace(request, weights=None) for request in requests])

    with pytest.raises(EngineError, match="the engine ignores them"):
        check(Ignoring(), adapter, SERVED, 0.01)  # type: ignore[arg-type]


def test_red_for_an_engine_that_scores_otherwise_in_a_batch(trained: tuple[HFEngine, Weights, Weights]) -> None:
    engine, adapter, _ = trained

    class Shifted:
        """Served adapters are right, and so is what is asked alone."""

        def score(self, requests: list[ScoreRequest]) -> list[tuple[float, ...]]:
            scored, shift = engine.score(requests), 0.5 if len(requests) > 1 else 0.0
            return [
                tuple(x - (shift if request.weights is None else 0) for x in own)
                for request, own in zip(requests, scored, strict=True)
            ]

    with pytest.raises(EngineError, match=r"in a batch differs from the one alone by 0\.5 a token"):
        check(Shifted(), adapter, SERVED, 0.01)  # type: ignore[arg-type]


def test_red_for_other_prompts(trained: tuple[HFEngine, Weights, Weights]) -> None:
    engine, adapter, _ = trained
    served = {number: (9, *prompt) for number, prompt in SERVED.items()}
    with pytest.raises(EngineError, match="differ from those in training"):
        check(engine, adapter, served, 0.01)


def test_weights_without_the_trainers_word_are_refused(
    trained: tuple[HFEngine, Weights, Weights], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"no reference_logprobs\.json"):
        check(trained[0], Weights("0" * 16, tmp_path), SERVED, 0.01)


def test_a_training_that_changed_nothing_is_no_fault_of_the_engine(
    trained: tuple[HFEngine, Weights, Weights], tmp_path: Path
) -> None:
    engine = trained[0]
    with engine._adapters.use(None) as model:
        write_reference_logprobs(model, ROWS_TRAINED, tmp_path)

    class Ignoring:
        def score(self, requests: list[ScoreRequest]) -> list[tuple[float, ...]]:
            return engine.score([replace(request, weights=None) for request in requests])

    verdict = check(Ignoring(), Weights("1" * 16, tmp_path), SERVED, 0.01)  # type: ignore[arg-type]
    assert verdict["learned"] is False


def test_places_and_tolerances() -> None:
    assert reference_indices(3) == [0, 1, 2]
    assert len(set(reference_indices(1000))) == ROWS
    assert tolerance_for("float32", "float32", False) < tolerance_for("bfloat16", "float32", False)
    assert tolerance_for("float32", "float32", True) == 0.3

"""DPO and ORPO: the losses against their closed forms, the reference, and that a kill changes nothing."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from selfguide.config.preference import PreferenceConfig
from selfguide.models.base import ScoreRequest, Weights
from selfguide.models.hf import HFEngine
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.job import TrainingJob
from selfguide.training.preference import PreferenceRow
from selfguide.training.trainer import TrainingResult, carry_out, train
from selfguide.training.weights import weights_of
from tests.training.configs import copy_rows, run_config
from tests.training.killing import KillAt, Killed
from tests.training.test_trainer import content, trained_on

pytest.importorskip("trl", reason="pip install selfguide[preference]")
BETA = 0.3
Scores = list[tuple[float, ...]]


def rows_of(tokenizer: PromptTokenizer, count: int) -> list[PreferenceRow]:
    """The copy is preferred to its reversal with a letter more."""
    return [
        PreferenceRow(row.prompt_ids, row.answer_ids, 0, tokenizer.encode_answer("h" * (1 + index % 3)))
        for index, row in enumerate(copy_rows(tokenizer, count))
    ]


def job(tiny: Path, tokenizer: PromptTokenizer, work: Path, start: Path | None = None, **changes: Any) -> TrainingJob:
    own, rows = PreferenceConfig(BETA, 1e-2, 1, True, 0.2), rows_of(tokenizer, changes.pop("rows", 8))
    changes = {"objective": "dpo", "preference": own, "packing": "none", "max_epochs": 1, "epochs": 1, **changes}
    return TrainingJob(run_config(tiny, **changes), tokenizer, rows, work, 3, start)


def scored(tiny: Path, rows: Sequence[PreferenceRow], weights: Weights | None = None) -> tuple[Scores, Scores]:
    """Log-probabilities of the chosen and the rejected answers' tokens."""
    config = run_config(tiny)
    with HFEngine(config.model, config.engine) as engine:  # type: ignore[arg-type]
        return (
            engine.score([ScoreRequest(row.prompt_ids, row.answer_ids, weights) for row in rows]),
            engine.score([ScoreRequest(row.prompt_ids, row.rejected_ids, weights) for row in rows]),
        )


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


@pytest.fixture(scope="module")
def supervised(tiny: Path, tokenizer: PromptTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_on(tiny, tokenizer, tmp_path_factory.mktemp("sft") / "work").epoch_dirs[-1]


def test_dpo_starts_at_the_closed_form_with_the_base_model_as_its_reference(
    tiny: Path, tokenizer: PromptTokenizer, supervised: Path, tmp_path: Path
) -> None:
    after = job(tiny, tokenizer, tmp_path / "after", supervised)
    result = carry_out(after)
    policy, base = (
        [[sum(tokens) for tokens in side] for side in scored(tiny, after.rows, weights)]  # type: ignore[arg-type]
        for weights in (weights_of(supervised, after.settings), None)
    )
    margins = [(pc - bc) - (pr - br) for pc, pr, bc, br in zip(*policy, *base, strict=True)]
    assert max(map(abs, margins)) > 0.1, "the supervised adapter is no base model"
    assert result.losses[0] == pytest.approx(-sum(log_sigmoid(BETA * m) for m in margins) / len(margins), rel=1e-3)
    fresh = carry_out(job(tiny, tokenizer, tmp_path / "fresh"))
    assert fresh.losses[0] == pytest.approx(math.log(2), rel=1e-5)


def test_orpo_starts_at_its_closed_form(tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    begun = job(tiny, tokenizer, tmp_path, objective="orpo")
    result = carry_out(begun)
    rows: Sequence[Any] = begun.rows
    chosen, rejected = ([sum(tokens) / len(tokens) for tokens in side] for side in scored(tiny, rows))
    odds = [
        (c - math.log1p(-math.exp(c))) - (r - math.log1p(-math.exp(r))) for c, r in zip(chosen, rejected, strict=True)
    ]
    whole = [PreferenceRow(row.prompt_ids[:1], (*row.prompt_ids[1:], *row.answer_ids), 0, (0,)) for row in rows]
    texts, _ = scored(tiny, whole)
    likelihood = sum(map(sum, texts)) / sum(map(len, texts))
    expected = -likelihood - BETA * sum(map(log_sigmoid, odds)) / len(odds)
    assert result.losses[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_winners_become_likelier_than_losers_and_the_engine_serves_them(
    objective: str, tiny: Path, tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    begun = job(tiny, tokenizer, tmp_path, objective=objective, max_epochs=4, epochs=4, rows=16)
    result: TrainingResult = carry_out(begun)
    assert [folder.name for folder in result.epoch_dirs] == [f"epoch-{i}" for i in range(1, 5)]
    assert {path.name for path in tmp_path.iterdir()} == {"losses.jsonl", *(f.name for f in result.epoch_dirs)}
    lead = []
    for weights in (None, weights_of(result.epoch_dirs[-1], begun.settings)):
        chosen, rejected = scored(tiny, begun.rows, weights)  # type: ignore[arg-type]
        lead.append(sum(map(sum, chosen)) - sum(map(sum, rejected)))
    assert lead[1] > lead[0] + 1


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_a_killed_training_ends_in_the_same_bytes(
    objective: str, tiny: Path, tokenizer: PromptTokenizer, supervised: Path, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"objective": objective, "max_epochs": 2, "epochs": 2, "rows": 16, "save_every_s": 1e-9}
    more |= {"micro_batch_size": 4, "dropout": 0.1}
    whole, cut = (job(tiny, tokenizer, tmp_path / name, supervised, **more) for name in ("whole", "cut"))
    carry_out(whole)
    with pytest.raises(Killed):
        train(cut, KillAt(3))
    second = KillAt(1000)
    carry_out(cut, second)
    assert second.resumed == 2
    assert content(whole.work) == content(cut.work)

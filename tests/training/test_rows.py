from pathlib import Path

import pytest

from selfguide.core.errors import TrainingError
from selfguide.core.types import Example, TaskSpec
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.rows import build_rows, show_row
from tests.models.checkpoints import model_config, tiny_model
from tests.training.configs import finetuning_config

SHOTS = (Example("red cup", "red"), Example("blue hat", "blue"), Example("old car", "none"))
TASK = TaskSpec("t", "generation", "Name the colour.", SHOTS)
PAIRS = [Example("green door", "green"), Example("a " * 200, "none"), Example("black cat", "black")]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PromptTokenizer:
    return load_prompt_tokenizer(model_config(tiny_model(tmp_path_factory.mktemp("tiny"))))


def test_a_row_is_the_evaluation_prompt_and_the_answer(tokenizer: PromptTokenizer) -> None:
    [row] = build_rows(TASK, PAIRS[:1], tokenizer, finetuning_config(), seed=0).rows
    assert row.prompt_ids == tokenizer.encode_prompt(answer_prompt(TASK, "green door"))
    assert row.answer_ids == tokenizer.encode_answer("green")
    assert row.answer_ids[-1] == tokenizer.end_id
    assert show_row(row, tokenizer).endswith("Input: green door\nOutput:« green</s>»")


def test_over_length_rows_are_dropped_and_counted(tokenizer: PromptTokenizer) -> None:
    built = build_rows(TASK, PAIRS, tokenizer, finetuning_config(max_length=200), seed=0)
    assert (len(built.rows), built.over_length, built.indices) == (2, 1, (0, 2))


def test_over_length_rows_are_an_error_if_asked(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(TrainingError, match=r"row 1: .* finetuning\.max_length is 200"):
        build_rows(TASK, PAIRS, tokenizer, finetuning_config(max_length=200, over_length="error"), seed=0)


def test_nothing_left_is_an_error(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(TrainingError, match="all 3 training rows"):
        build_rows(TASK, PAIRS, tokenizer, finetuning_config(max_length=16), seed=0)


def test_leave_one_out_keeps_a_demonstration_out_of_its_own_context(tokenizer: PromptTokenizer) -> None:
    config = finetuning_config(shuffle_demonstrations=True)
    built = build_rows(TASK, SHOTS * 2, tokenizer, config, seed=0, leave_one_out=True)
    for row, own in zip(built.rows, SHOTS * 2, strict=True):
        text = tokenizer.decode(row.prompt_ids)
        assert text.count(own.input) == 1, "as the question only"
        assert all(text.count(f"Input: {d.input}\nOutput: {d.output}") == 1 for d in SHOTS if d != own)


def test_shuffling_is_seeded_and_differs_between_rows(tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    config = finetuning_config(shuffle_demonstrations=True)
    pairs = PAIRS[:1] * 12
    first, again, other = (build_rows(TASK, pairs, tokenizer, config, seed).rows for seed in (0, 0, 1))
    assert first == again != other
    assert 1 < len({row.prompt_ids for row in first}) <= 6
    assert len({tuple(sorted(row.prompt_ids)) for row in first}) == 1, "the same demonstrations in each"

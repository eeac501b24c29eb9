from pathlib import Path

import pytest

from selfguide.models.loading import load_prompt_tokenizer
from selfguide.prompts.tokenization import PromptTokenizer
from tests.models.checkpoints import tiny_model
from tests.training.configs import run_config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"), initializer_range=0.1)


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> PromptTokenizer:
    return load_prompt_tokenizer(run_config(tiny).model)

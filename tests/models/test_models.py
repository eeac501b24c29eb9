import json
import shutil
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError
from selfguide.core.types import Example
from selfguide.models.loading import load_model, load_prompt_tokenizer
from selfguide.models.source import context_length, model_identity
from selfguide.prompts.selfguide import AnswerPrompt
from tests.models.checkpoints import CONTEXT, model_config, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


def test_identity_is_the_content_not_the_place(tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    identity = model_identity(model_config(tiny))
    assert model_identity(model_config(copy)) == identity
    assert model_identity(model_config(tiny, prompt_format="chat")) != identity
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert model_identity(model_config(copy)) != identity


def test_context_length(tiny: Path) -> None:
    assert context_length(model_config(tiny)) == CONTEXT
    assert context_length(model_config(tiny, context_length=64)) == 64
    with pytest.raises(ConfigError, match=r"model\.context_length: 500 is more than the 128"):
        context_length(model_config(tiny, context_length=500))


def test_what_is_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    for path, message in {
        "/nowhere": "no such folder",
        "plainword": "no such folder",
        str(tmp_path / "adapter"): "it is an adapter, not a model",
        str(tmp_path / "pickled"): "no \\*.safetensors weights",
    }.items():
        with pytest.raises(ConfigError, match=message) as caught:
            model_identity(model_config(path))
        assert "\n" not in str(caught.value)


def test_the_bundled_vicuna_template(tiny: Path) -> None:
    tokenizer = load_prompt_tokenizer(model_config(tiny, prompt_format="chat", chat_template="vicuna"))
    tokenizer.tokenizer.bos_token = "<s>"
    prompt = AnswerPrompt("Do it.", (Example("one", "1"),), "two")
    turns = [{"role": turn.role, "content": turn.text} for turn in prompt.turns()]
    assert tokenizer.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == (
        "<s>A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions. "
        "USER: Do it.\n\nInput: one ASSISTANT: 1</s>USER: Input: two ASSISTANT:"
    )


def test_sampling_settings_without_sampling_are_left_out_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in lmsys/vicuna-7b-v1.5: transformers reads such a file, and refuses to write it."""
    tiny = tiny_model(tmp_path / "tiny")
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    settings = {**ids, "_from_model_config": True, "max_length": 4096, "temperature": 0.9, "top_p": 0.6}
    (tiny / "generation_config.json").write_text(json.dumps(settings))
    for _ in range(2):
        model = load_model(model_config(tiny), device="cpu")
    model.save_pretrained(tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "generation_config.json").read_text())["eos_token_id"] == 1
    lines = [record.getMessage() for record in caplog.records if "generation config" in record.getMessage()]
    assert lines == [
        f"{tiny}: its generation config is invalid; these keys have no effect and are ignored: temperature, top_p"
    ]

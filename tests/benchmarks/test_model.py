from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from benchmarks.micro.probes import answer_cases, exact_match
from selfguide.models.source import MICRO


def test_architecture_and_size() -> None:
    config = AutoConfig.from_pretrained(MICRO)
    assert config.architectures == ["LlamaForCausalLM"]
    assert config.head_dim == 64
    assert config.max_position_embeddings >= 1024
    assert (MICRO / "model.safetensors").stat().st_size <= 16 * 2**20
    assert sum(t.numel() for t in load_file(MICRO / "model.safetensors").values()) <= 8_000_000
    assert [p.name for p in Path(MICRO).glob("*.safetensors")] == ["model.safetensors"]


@pytest.mark.parametrize("text", ["naïve café 東京 🙂\x00\x7f", "  two  spaces\n\n\n", "'tis 100 % \\ {x}"])
def test_any_text_tokenises(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MICRO)
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_it_reads_demonstrations() -> None:
    """Far above chance on rules and label names that its corpus held out."""
    model = AutoModelForCausalLM.from_pretrained(MICRO).eval()
    tokenizer = AutoTokenizer.from_pretrained(MICRO).backend_tokenizer
    cases = answer_cases(seed=11, per_probe=24)
    assert exact_match(model, tokenizer, cases["word"]) > 0.6
    assert exact_match(model, tokenizer, cases["color"]) > 0.8
    assert exact_match(model, tokenizer, cases["future"]) > 0.6

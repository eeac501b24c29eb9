"""Tiny real checkpoints, built on the spot: a byte-level tokenizer and a random two-layer Llama."""

from pathlib import Path
from typing import Any

import torch

from selfguide.config.serving import HFEngineConfig, ModelConfig
from selfguide.models.base import Weights

CONTEXT = 128


def model_config(path: str | Path, **changes: Any) -> ModelConfig:
    values = {
        "name": "test",
        "path": str(path),
        "revision": None,
        "dtype": "float32",
        "prompt_format": "plain",
        "chat_template": None,
        "template_options": {},
        "context_length": None,
        "trust_remote_code": False,
    }
    return ModelConfig(**{**values, **changes})


def engine_config(**changes: Any) -> HFEngineConfig:
    values = {"name": "hf", "lifetime": "keep", "batch_tokens": 4096, "device": "cpu", "attention": "auto"}
    return HFEngineConfig(**{**values, **changes})


def tiny_model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A Llama with random weights and one token per byte; context of 128 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>").save_pretrained(folder)
    values = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.4,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**{**values, **changes}))
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    return folder


def tiny_adapter(base: Path, folder: Path, seed: int) -> Weights:
    """A LoRA adapter whose both halves are random, so that it does change the model."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False),
    )
    model.save_pretrained(folder)
    return Weights(f"{seed:016x}", folder, "lora", 4)

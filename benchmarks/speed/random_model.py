"""A Llama with random weights, to measure speed where no checkpoint can be fetched.

`python -m benchmarks.speed.random_model FOLDER` writes one of about a billion parameters (the layers of
Llama 3.2 1B; the vocabulary is the bundled tokenizer's), in bfloat16. What it says means nothing.
"""

import sys
from pathlib import Path
from typing import Any

from selfguide.models.source import MICRO

LAYERS_OF_1B: dict[str, int] = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096,
}


def random_llama(folder: Path, seed: int = 0, **layers: int) -> int:
    """Write the checkpoint, with the layers of `LAYERS_OF_1B` where none are given; returns its parameters."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer: Any = AutoTokenizer.from_pretrained(MICRO)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        **{**LAYERS_OF_1B, **layers},
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.speed.random_model FOLDER")
    print(f"{random_llama(Path(sys.argv[1])):,} parameters in {sys.argv[1]}")

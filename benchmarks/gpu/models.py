"""Checkpoints with random weights on the bundled tokenizer, in the published sizes."""

import json
from pathlib import Path
from typing import Any

from selfguide.models.source import MICRO

_GROUPED = {"num_key_value_heads": 8, "vocab_size": 128256}
SIZES: dict[str, dict[str, Any]] = {
    # Heads of 32: vLLM has no smaller ones on a CPU.
    "tiny": {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "1b": {
        **{"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
        **_GROUPED,
        "tie_word_embeddings": True,
    },
    "7b": {
        **{"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
        "vocab_size": 32000,
    },
    "8b": {
        **{"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
        **_GROUPED,
    },
}
"""As published, vocabulary included: logits cost what they cost."""
WINDOW = 128
VICUNA = {"max_length": 4096, "temperature": 0.9, "top_p": 0.6}
"""What lmsys/vicuna-7b-v1.5 has in its generation config, without `do_sample`."""


def checkpoint(folder: Path, size: str, kind: str = "llama") -> Path:
    """A checkpoint: `kind` is llama, vicuna (with its generation config) or gemma3 (with a window of 128)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma3TextConfig, LlamaConfig

    target = folder / f"{kind}-{size}"
    if (target / "whole").exists():
        return target
    tokenizer: Any = AutoTokenizer.from_pretrained(MICRO)
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    shape = {"vocab_size": len(tokenizer), "max_position_embeddings": 4096, **SIZES[size], **ids}
    if kind == "gemma3":
        width = shape["hidden_size"] // shape["num_attention_heads"]
        config = Gemma3TextConfig(**shape, sliding_window=WINDOW, head_dim=width, _sliding_window_pattern=2)
    else:
        config = LlamaConfig(**shape)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if size == "tiny":  # with weights of 0.02 so small a model answers nearly alike whatever is asked
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() > 1:
                    weights.mul_(6)
    model.cpu().save_pretrained(target)
    tokenizer.save_pretrained(target)
    if kind == "vicuna":
        (target / "generation_config.json").write_text(json.dumps({**ids, **VICUNA}))
    (target / "whole").touch()
    return target

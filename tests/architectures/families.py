"""Tiny checkpoints of the architectures that people finetune: random weights under the families' own configurations."""

from pathlib import Path
from typing import Any

import torch
import transformers

CONTEXT = 1024
WINDOW = 64
"""Positions that a layer with a sliding window sees."""
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_USUAL = {
    "hidden_size": 128,  # heads of 32: vLLM has no smaller ones on a CPU
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
_OWN_NAMES = {"n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": CONTEXT}
_EXPERTS = {"num_experts_per_tok": 2, "head_dim": 32}


def _without(*names: str, **more: Any) -> dict[str, Any]:
    return {**{name: value for name, value in _USUAL.items() if name not in names}, **more}


FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _USUAL),
    "mistral": ("MistralConfig", {**_USUAL, "sliding_window": WINDOW}),
    "qwen2": ("Qwen2Config", {**_USUAL, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {**_USUAL, "head_dim": 32, "tie_word_embeddings": True}),
    "qwen3_moe": ("Qwen3MoeConfig", {**_USUAL, **_EXPERTS, "num_experts": 4, "moe_intermediate_size": 64}),
    "gemma2": ("Gemma2Config", {**_USUAL, "sliding_window": WINDOW, "head_dim": 32, "query_pre_attn_scalar": 32}),
    "gemma3": (
        "Gemma3TextConfig",
        {**_USUAL, "sliding_window": WINDOW, "head_dim": 32, "query_pre_attn_scalar": 32, "_sliding_window_pattern": 2},
    ),
    "gpt_oss": ("GptOssConfig", {**_USUAL, **_EXPERTS, "sliding_window": WINDOW, "num_local_experts": 4}),
    "phi3": ("Phi3Config", {**_USUAL, "sliding_window": WINDOW}),
    "olmo2": ("Olmo2Config", _USUAL),
    "smollm3": ("SmolLM3Config", _USUAL),
    "gpt_neox": ("GPTNeoXConfig", _without("num_key_value_heads")),
    "gpt2": ("GPT2Config", _OWN_NAMES),
    "opt": ("OPTConfig", _without("intermediate_size", "num_key_value_heads", ffn_dim=128, word_embed_proj_dim=128)),
    "falcon": ("FalconConfig", _without("intermediate_size", "num_key_value_heads", alibi=False)),
    "bloom": ("BloomConfig", {"hidden_size": 128, "n_layer": 4, "n_head": 4}),
}
SLIDING = ("mistral", "gemma2", "gemma3", "gpt_oss", "phi3")


def tiny_family(name: str, folder: Path, **changes: Any) -> Path:
    """A checkpoint with one token per byte and ChatML turns, of weights so large that prompts decide its answers."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    kind, shape = FAMILIES[name]
    ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    config = getattr(transformers, kind)(**{**shape, **changes}, vocab_size=len(tokenizer), **ids)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(4)
    model.save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    special = ["<pad>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<|im_end|>", extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.chat_template = CHATML
    return tokenizer

"""What a causal language model takes of a device's memory, from the sizes in its config.json alone.

Saved activations are what autograd keeps of transformers' Llama with fused attention, to the byte (the tests
count them); the rest are sums over tensors. Bytes throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GIB = 2**30
RUNTIME = 1 * GIB
"""CUDA's context, its libraries' workspaces."""
UNUSED = 0.05
"""Share of the rest that an allocator holds without using it."""
NOT_GATED = ("gpt2", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "falcon", "phi", "starcoder2")
"""Model types whose feed-forward layers have two matrices, not three."""
FOUR_BIT = 0.52
"""Bytes of a weight in 4 bits with its constants (nf4, double quantization)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder. `query` and `key` are the widths of all heads together; `experts` share a layer."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    query: int
    key: int
    vocabulary: int
    tied: bool
    gated: bool
    experts: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape | None":
        """From the content of a config.json; None if it does not name its sizes as usual."""
        text = config.get("text_config") or config

        def size(*names: str) -> int:
            return int(next((text[name] for name in names if text.get(name)), 0))

        hidden, heads = size("hidden_size", "n_embd"), size("num_attention_heads", "n_head")
        layers, vocabulary = size("num_hidden_layers", "n_layer"), size("vocab_size")
        if not (hidden and heads and layers and vocabulary):
            return None
        width = size("head_dim") or hidden // heads
        kind = str(text.get("model_type", ""))
        return cls(
            layers=layers,
            hidden=hidden,
            intermediate=size("moe_intermediate_size", "intermediate_size", "n_inner") or 4 * hidden,
            heads=heads,
            query=heads * width,
            key=(size("num_key_value_heads") or heads) * width,
            vocabulary=vocabulary,
            tied=bool(text.get("tie_word_embeddings", kind.startswith(("gpt2", "gemma")))),
            gated=kind not in NOT_GATED,
            experts=size("num_local_experts", "num_experts", "n_routed_experts") or 1,
        )

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of a layer's matrices, by the names that Llama gives them."""
        h, i = self.hidden, self.intermediate
        attention = {"q_proj": (h, self.query), "k_proj": (h, self.key), "v_proj": (h, self.key)}
        return {
            **attention,
            "o_proj": (self.query, h),
            **({"gate_proj": (h, i)} if self.gated else {}),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }

    @property
    def linear_weights(self) -> int:
        """Weights of all layers' matrices."""
        of = {name: a * b * (self.experts if name[0] in "gud" else 1) for name, (a, b) in self.linear.items()}
        return self.layers * sum(of.values())

    @property
    def other_weights(self) -> int:
        """Embeddings, head and norms."""
        return self.hidden * (self.vocabulary * (1 if self.tied else 2) + 2 * self.layers + 1)

    @property
    def weights(self) -> int:
        """All weights, biases left out."""
        return self.linear_weights + self.other_weights

    def adapter_weights(self, rank: int, targets: str) -> int:
        """Weights of LoRA adapters on `targets` (`finetuning.target_modules`)."""
        chosen = None if targets == "all-linear" else {name.strip() for name in targets.split(",")}
        sizes = [sum(size) for name, size in self.linear.items() if chosen is None or name in chosen]
        return self.layers * rank * sum(sizes)

    def saved(self, half: bool, rank: int) -> int:
        """Bytes that autograd keeps of a layer for a token; `rank` of the adapters, 0 for none."""
        h, i, q, k = self.hidden, self.intermediate * (1 if self.experts == 1 else 2), self.query, self.key
        fixed = 4 * self.heads + 8
        if half:
            return fixed + 8 * i + 4 * k + ((18 * h + 6 * q + 14 * rank) if rank else (16 * h + 4 * q))
        return fixed + 16 * i + 8 * k + 8 * q + ((16 * h + 28 * rank) if rank else 24 * h)

    def cached(self, width: int) -> int:
        """Bytes of a token in the key-value cache, each number `width` bytes."""
        return 2 * self.layers * self.key * width


@dataclass(frozen=True, slots=True)
class Training:
    """What a training is, as far as its memory depends on it. `rank` is 0 for all weights; widths are in bytes.

    `state` are the optimizer's bytes for each trained weight, a float32 copy of the weight among them. `shared_by` is
    the number of devices that weights, gradients and state are cut up over.
    """

    rank: int
    targets: str
    width: int
    four_bit: bool
    state: int
    shared_by: int = 1


def training_memory(shape: Shape, training: Training, rows: int, tokens: int, recompute: bool) -> dict[str, int]:
    """Bytes by part, for `rows` rows of `tokens` tokens in a forward pass, on each device.

    `recompute`: gradient checkpointing, which keeps a layer's input and computes the layer again.
    """
    adapters = shape.adapter_weights(training.rank, training.targets)
    trained = adapters if training.rank else shape.weights
    base = shape.linear_weights * (FOUR_BIT if training.four_bit else training.width)
    weights = int(base) + shape.other_weights * training.width + 4 * adapters
    layer = shape.saved(training.width == 2, training.rank)
    # The backward pass holds the gradients of about one layer's activations beside what is saved.
    kept = shape.layers * shape.hidden * training.width + 2 * layer if recompute else (shape.layers + 1) * layer
    positions, cut = rows * tokens, training.shared_by
    parts = {
        "weights": weights // cut,
        "gradients": trained * (4 if training.rank else training.width) // cut,
        "optimizer": trained * training.state // cut,
        "activations": positions * (kept + (9 if training.width == 2 else 14) * shape.hidden),
        # In 16 bits, in float32, and its logarithm, of which the gradient takes the place again.
        "logits": positions * shape.vocabulary * (training.width + 8),
    }
    return parts | {"runtime": RUNTIME + int(UNUSED * sum(parts.values()))}


def serving_memory(shape: Shape, width: int, positions: int, rows: int) -> dict[str, int]:
    """Bytes by part of answering with `positions` tokens of `rows` rows in the key-value cache."""
    parts = {
        "weights": shape.weights * width,
        "cache": positions * shape.cached(width),
        # A layer's intermediate results for what is read at once, and the logits of the last positions.
        "activations": positions * width * (4 * shape.hidden + 3 * shape.intermediate),
        "logits": rows * shape.vocabulary * (width + 8),
    }
    return parts | {"runtime": RUNTIME + int(UNUSED * sum(parts.values()))}

"""Attention over a prefix that all rows of a batch share, held once instead of once a row.

On a CPU, decoding is bound by reading keys and values. Few-shot prompts have most of theirs in
common, so the shared part is one matrix product for the whole batch, and a row keeps its own part
only, written in place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

NAME = "selfguide_shared_prefix"


class _OwnLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer: the shared prefix (heads, prefix, size) and each row's own keys and values."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, room: int) -> None:
        super().__init__()
        self.prefix_keys, self.prefix_values = keys[0], values[0]
        self._room = room
        self._length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        rows, heads, _, size = key_states.shape
        self.keys = key_states.new_empty((rows, heads, self._room, size))
        self.values = value_states.new_empty((rows, heads, self._room, value_states.shape[-1]))
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self._length + key_states.shape[2]
        self.keys[:, :, self._length : end] = key_states
        self.values[:, :, self._length : end] = value_states
        self._length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self.keys, self.values = self.keys[indices], self.values[indices]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._length + query_length, 0

    def get_seq_length(self) -> int:
        return self._length

    def get_max_length(self) -> int:
        return self._room


class PrefixCache(Cache):  # type: ignore[misc]
    """Key-value cache of rows that continue one prefix; `room` is what each may add to it."""

    def __init__(self, prefix: DynamicCache, room: int) -> None:
        super().__init__(layers=[_OwnLayer(layer.keys, layer.values, room) for layer in prefix.layers])


@contextmanager
def prefix_attention(model: Any) -> Iterator[None]:
    """Within the block the model attends with `_attend`; it then needs `shared_prefix=` in its call."""
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def own_mask(mask: torch.Tensor, shared: int, queries: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (rows, 1, queries, own keys) from a mask of real positions; the prefix is always seen."""
    own = mask[:, shared:].bool()
    keys = own.shape[1]
    causal = torch.ones((queries, keys), dtype=torch.bool, device=mask.device).tril(keys - queries)
    seen = own[:, None, None, :] & causal
    return torch.zeros(seen.shape, dtype=dtype, device=mask.device).masked_fill_(~seen, torch.finfo(dtype).min)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """One softmax over [prefix, own]. `query` (rows, heads, queries, size); `key` holds own keys only.

    Raises `ValueError` for attention with soft caps or sinks.
    """
    if options.get("softcap") is not None or options.get("s_aux") is not None:
        raise ValueError("soft caps and sinks are not served")
    layer = options["shared_prefix"].layers[module.layer_idx]
    rows, heads, queries, size = query.shape
    groups = key.shape[1]
    each = heads // groups * queries
    query = (query * options["scaling"]).reshape(rows, groups, each, size)
    flat = query.transpose(0, 1).reshape(groups, rows * each, size)
    before = torch.bmm(flat, layer.prefix_keys.transpose(1, 2))
    length = before.shape[-1]
    before = before.view(groups, rows, each, length).transpose(0, 1)
    own = torch.matmul(query, key.transpose(2, 3))
    own = own.view(rows, groups, -1, queries, key.shape[2]) + attention_mask[:, :, None]
    scores = torch.cat([before, own.view(rows, groups, each, -1)], dim=-1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    flat = weights[..., :length].transpose(0, 1).reshape(groups, rows * each, length)
    result = torch.bmm(flat, layer.prefix_values).view(groups, rows, each, -1).transpose(0, 1)
    result = result + torch.matmul(weights[..., length:], value)
    return result.reshape(rows, heads, queries, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attend)

"""What a batch has read so far: keys and values, with the prefix shared where the model allows it."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfguide.models.batching import common_prefix

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
_VERIFIED: dict[str, bool] = {}
_PROBE = 42
"""Tokens of the texts that it is tried out on."""


class BatchCache:
    """The state of a batch. `logits` are those of the last positions read; `mask` marks real positions."""

    def __init__(
        self, model: Any, prompts: Sequence[tuple[int, ...]], keep: int, room: int, hold_once: bool | None = None
    ) -> None:
        """Read the prompts: the common prefix once, then what differs.

        `keep` logits are computed at the end of each prompt (the shared prefix is shortened to that
        end); `room` new positions will follow. `hold_once` keeps the prefix apart (`models.prefix`) where
        `holds_prefix_once` unless given. Else it is repeated, and rows are padded on the left alone: a gap
        between prefix and row would count as positions of a sliding window.
        """
        import torch
        from transformers import DynamicCache

        self._model = model
        self._cache: Any = DynamicCache(config=model.config)
        lengths = [len(prompt) for prompt in prompts]
        longest = max(lengths)
        self._shared = max(0, min(common_prefix(prompts), min(lengths) - keep)) if _divisible(self._cache) else 0
        width = longest - self._shared
        once = holds_prefix_once(model, longest + room) if hold_once is None else hold_once
        self._apart = once and self._shared > 0
        if self._shared:
            prefix = DynamicCache()  # of all positions, in layers with a window, too: rows start at different ones
            ids = torch.tensor([prompts[0][: self._shared]], device=model.device)
            model(input_ids=ids, past_key_values=prefix, use_cache=True, logits_to_keep=1)
            if self._apart:
                from selfguide.models.prefix import PrefixCache

                self._cache = PrefixCache(prefix, width + room)
            else:
                self._repeat(prefix, torch.tensor(lengths, device=model.device), longest)
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.ones((len(prompts), longest), dtype=torch.long)
        gap_at = self._shared if self._apart else 0
        for row, prompt in enumerate(prompts):
            read = prompt[self._shared :] if self._apart else prompt[-width:]
            ids[row, width - len(read) :] = torch.tensor(read)
            mask[row, gap_at : gap_at + longest - len(prompt)] = 0
        self.mask = mask.to(model.device)
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, self._shared :]
        self.logits = self._forward(ids.to(model.device), positions, min(keep, width))

    def _repeat(self, prefix: Any, lengths: "torch.Tensor", longest: int) -> None:
        """The prefix for each row, moved right by what the row is shorter than the longest one."""
        import torch

        columns = torch.arange(self._shared, device=lengths.device)
        source = (columns - (longest - lengths)[:, None]).clamp(min=0)
        for i, layer in enumerate(prefix.layers):
            keys, values = (states[0][:, source].transpose(0, 1) for states in (layer.keys, layer.values))
            self._cache.update(keys.contiguous(), values.contiguous(), i)

    def select(self, rows: "torch.Tensor") -> None:
        """Keep these rows, in this order; a row may come several times."""
        self.mask = self.mask[rows]
        self.logits = self.logits[rows]
        self._cache.batch_select_indices(rows)

    def read(self, tokens: "torch.Tensor") -> None:
        """Append one token to each row."""
        import torch

        positions = self.mask.sum(-1, keepdim=True)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        self.logits = self._forward(tokens[:, None], positions, 1)

    def _forward(self, ids: "torch.Tensor", positions: "torch.Tensor", keep: int) -> "torch.Tensor":
        call = {
            "input_ids": ids,
            "position_ids": positions,
            "past_key_values": self._cache,
            "use_cache": True,
            "logits_to_keep": keep,
        }
        logits: torch.Tensor
        if not self._apart:
            logits = self._model(attention_mask=self.mask, **call).logits
            return logits
        from selfguide.models.prefix import own_mask, prefix_attention

        mask = own_mask(self.mask, self._shared, ids.shape[1], self._model.dtype)
        with prefix_attention(self._model):
            logits = self._model(attention_mask=mask, shared_prefix=self._cache, **call).logits
        return logits


def _divisible(cache: Any) -> bool:
    """Whether what a layer holds of a text can be cut between two positions: keys and values can, a state cannot."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)


def holds_prefix_once(model: Any, length: int) -> bool:
    """Whether `models.prefix` serves this model at texts of `length` tokens: on a CPU, and tried out on it.

    Where texts are longer than a sliding window, and where a model with attention of its own kind (soft
    caps, sinks) gives other logits or an error, the prefix is repeated.
    """
    if model.device.type != "cpu" or max(length, _PROBE) > _window(model):
        return False
    kind = f"{type(getattr(model, 'base_model', model)).__name__}:{model.config.model_type}:{model.config!r}"
    if kind not in _VERIFIED:
        _VERIFIED[kind] = _agrees(model)
        if not _VERIFIED[kind]:
            log.info("the shared prefix is repeated for every row: %s has its own attention", model.config.model_type)
    return _VERIFIED[kind]


def _window(model: Any) -> float:
    """Positions that every layer sees."""
    from transformers import DynamicCache

    layers = DynamicCache(config=model.config).layers
    return min((layer.sliding_window for layer in layers if getattr(layer, "is_sliding", False)), default=float("inf"))


def _agrees(model: Any) -> bool:
    import torch

    size = min(model.get_input_embeddings().num_embeddings, 1000)
    ids = [
        tuple((7 * i + 3) % size for i in range(_PROBE - 2)),
        tuple((7 * i + 3) % size if i < 30 else i % size for i in range(_PROBE - 5)),
    ]
    results = []
    try:
        for hold_once in (False, True):
            context = BatchCache(model, ids, 1, 1, hold_once)
            first = context.logits[:, -1]
            context.read(first.argmax(-1))
            results.append(torch.cat([first, context.logits[:, -1]]).float().log_softmax(-1))
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError):
        return False
    tolerance = 1e-3 if model.dtype == torch.float32 else 0.1
    return bool((results[0] - results[1]).abs().max() < tolerance)

"""Rows as a model takes them: side by side, or packed into one sequence where the model is found to take that."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.nn.functional import cross_entropy

from selfguide.training.packing import pack
from selfguide.training.rows import TrainingRow

IGNORED = -100
CHECKED_ROWS = 4
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.1}
"""Nats a token by which the loss of the checked rows may differ from the plain path: rounding is far below it."""
WINDOWS = ("sliding_window", "window_size", "attention_chunk_size")
"""Names in transformers' configurations for a reach of attention that a mask of ours would override."""

Inputs = dict[str, Any]


class Batches(Protocol):
    """How rows become inputs, and outputs a loss."""

    @property
    def loss(self) -> Callable[..., torch.Tensor] | None:
        """Of `Trainer`'s `compute_loss_func`; None: the model computes it."""

    def collate(self, rows: Sequence[TrainingRow]) -> Inputs:
        """Tensors on the CPU."""

    def masked(self, inputs: Inputs) -> Inputs:
        """The same on the model's device, as its `forward` takes them."""


class Padded:
    """Rows side by side, padded on the right; the model computes the loss itself."""

    loss: Callable[..., torch.Tensor] | None = None

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def collate(self, rows: Sequence[TrainingRow]) -> Inputs:
        """`input_ids`, `attention_mask`, `labels`, each (rows, longest row)."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), self._pad)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor([*row.prompt_ids, *row.answer_ids])
            mask[i, : len(row)] = 1
            labels[i, len(row.prompt_ids) : len(row)] = torch.tensor(row.answer_ids)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def masked(self, inputs: Inputs) -> Inputs:
        """As they are."""
        return inputs


class Packed:
    """Rows as one sequence, and the model's head on the answers' positions alone."""

    def __init__(self, model: Any) -> None:
        self._attention = model.config._attn_implementation
        self._dtype = model.dtype
        self.loss: Callable[..., torch.Tensor] | None = answer_loss

    def collate(self, rows: Sequence[TrainingRow]) -> Inputs:
        """One sequence of n tokens and its m answer tokens; `labels` (1, 1 + m) begins with an ignored one."""
        packed = pack(rows)
        return {
            "input_ids": torch.tensor([packed.ids]),
            "position_ids": torch.tensor([packed.positions]),
            "ends": torch.tensor(packed.ends),
            "logits_to_keep": torch.tensor(packed.sources, dtype=torch.long),
            "labels": torch.tensor([[IGNORED, *packed.targets]]),
        }

    def masked(self, inputs: Inputs) -> Inputs:
        """With the mask, in the form that the attention takes, in the place of `ends`."""
        rest = dict(inputs)
        return {**rest, "attention_mask": tree_mask(rest.pop("ends"), self._attention, self._dtype)}


def tree_mask(ends: torch.Tensor, attention: str, dtype: torch.dtype) -> Any:
    """Who sees whom, (1, 1, n, n): booleans for sdpa, 0 and the least number for eager, blocks for FlexAttention."""
    if attention == "flex_attention":
        from torch.nn.attention.flex_attention import create_block_mask

        def sees(_batch: Any, _head: Any, query: Any, key: Any) -> Any:
            return (key <= query) & (query < ends[key])

        return create_block_mask(sees, None, None, len(ends), len(ends), device=str(ends.device))
    index = torch.arange(len(ends), device=ends.device)
    visible = ((index[None, :] <= index[:, None]) & (index[:, None] < ends[None, :]))[None, None]
    if attention != "eager":
        return visible
    return torch.zeros(visible.shape, dtype=dtype, device=ends.device).masked_fill(~visible, torch.finfo(dtype).min)


def answer_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Sum over the answers' tokens, over the number of those in the optimizer's batch; in float32 or better."""
    logits = outputs.logits[0]
    wide = torch.promote_types(logits.dtype, torch.float32)
    total = cross_entropy(logits.to(wide), labels[0, 1:], reduction="sum")
    return total / (labels.shape[1] - 1 if num_items_in_batch is None else num_items_in_batch)


def choose_batches(model: Any, rows: Sequence[TrainingRow], pad: int, packing: str) -> tuple[Batches, str]:
    """How this model is given its rows, and why not packed where that was asked for (else "").

    sdpa is tried as it is, then eager attention: each on some rows, the longest among them, against the plain path.
    """
    padded = Padded(pad)
    if packing == "none":
        return padded, ""
    configured = model.config._attn_implementation
    reason = _too_short_a_window(model.config, max(map(len, rows)))
    for attention in () if reason else dict.fromkeys((configured, "eager")):
        model.set_attn_implementation(attention)
        packed = Packed(model)
        reason = _difference(model, packed, padded, rows)
        if not reason:
            return packed, ""
    model.set_attn_implementation(configured)
    return padded, reason


def _too_short_a_window(config: Any, longest: int) -> str:
    text = config.get_text_config()
    for name in WINDOWS:
        reach = getattr(text, name, None)
        if isinstance(reach, int) and 0 < reach < longest:
            return f"the model attends to {reach} tokens ({name}), the longest row has {longest}"
    return ""


def _difference(model: Any, packed: Packed, padded: Padded, rows: Sequence[TrainingRow]) -> str:
    """In which way the packed rows are not what the plain path computes; "" if they are."""
    longest = max(rows, key=len)
    checked = [longest, *[row for row in rows[:CHECKED_ROWS] if row is not longest]][:CHECKED_ROWS]
    inputs = _on_device(model, padded, checked)
    labels = inputs.pop("labels")
    answers = labels[:, 1:] != IGNORED
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(**inputs, use_cache=False).logits[:, :-1][answers]
            plain = -cross_entropy(logits.float(), labels[:, 1:][answers], reduction="none")
            gap = float((plain - packed_logprobs(model, packed, checked)).abs().mean())
    except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError) as error:
        # Whatever a model does with inputs that it does not know: the plain path is always there.
        return f"{type(error).__name__}: {(str(error).splitlines() or ['without a reason'])[0][:200]}"
    finally:
        model.train(was_training)
    if gap <= TOLERANCE.get(str(model.dtype).removeprefix("torch."), TOLERANCE["float32"]):
        return ""
    return f"a packed row's log-probabilities differ by {gap:.2g} nats a token from the row's alone"


def packed_logprobs(model: Any, packed: Packed, rows: Sequence[TrainingRow]) -> torch.Tensor:
    """Of all the rows' answer tokens, one row after another, in nats."""
    inputs = packed.masked(_on_device(model, packed, rows))
    labels = inputs.pop("labels")[0, 1:]
    return -cross_entropy(model(**inputs, use_cache=False).logits[0].float(), labels, reduction="none")


def _on_device(model: Any, batches: Batches, rows: Sequence[TrainingRow]) -> Inputs:
    return {name: tensor.to(model.device) for name, tensor in batches.collate(rows).items()}

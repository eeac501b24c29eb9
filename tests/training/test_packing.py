"""Packed rows: the same loss and gradients as rows side by side, for every family of models; else the plain path."""

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, LlamaForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from selfguide.models.loading import load_prompt_tokenizer
from selfguide.training.batches import IGNORED, Packed, Padded, answer_loss, choose_batches
from selfguide.training.packing import grouped, pack, packed_tokens, rows_per_pass, tokens_per_step
from selfguide.training.rows import TrainingRow
from selfguide.training.trainer import finetune
from tests.models.checkpoints import tiny_model
from tests.training.configs import copy_rows, run_config

PREFIX = tuple(range(10, 22))
ROWS = [
    TrainingRow((*PREFIX, 30, 31), (40, 1)),
    TrainingRow((*PREFIX, 32), (41, 42, 43, 1)),
    TrainingRow((*PREFIX, 30, 31), (44, 1)),  # a prompt twice, with two answers
    TrainingRow((*PREFIX, 30, 31), (40, 1)),  # a row twice: it counts twice
    TrainingRow((50, 51, 52), (53, 1)),  # nothing in common
    TrainingRow((0,), ()),  # nothing to learn
]
TINY = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 1,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": {"sliding_window": 64, "query_pre_attn_scalar": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "gpt_neox": {"num_key_value_heads": None},
    "phi": {"num_key_value_heads": 4},
    "phi3": {},
    "olmo2": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0},
    "stablelm": {},
    "mixtral": {
        "sliding_window": None,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "experts_implementation": "eager",
    },
}


def tiny(family: str, **changes: Any) -> Any:
    config = AutoConfig.for_model(family, **{**TINY, **FAMILIES.get(family, {}), **changes})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float64)
    model.config.use_cache = False
    return model.train()


def gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def both(model: Any, packed: Packed, rows: list[TrainingRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss side by side, in the model's own precision, and packed."""
    inputs = Padded(0).collate(rows)
    labels = inputs.pop("labels")[:, 1:]
    logits = model(**inputs).logits[:, :-1]
    plain = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    inputs = packed.masked(packed.collate(rows))
    labels = inputs.pop("labels")
    return plain, answer_loss(model(**inputs), labels)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_loss_and_gradients_are_those_of_the_plain_path(family: str, attention: str) -> None:
    model = tiny(family)
    model.set_attn_implementation(attention)
    batches, reason = choose_batches(model, ROWS, 0, "prefix")
    assert reason == ""
    assert isinstance(batches, Packed)
    plain, packed = both(model, batches, ROWS)
    loose = 1e-6 if attention == "eager" else 1e-12  # eager takes the softmax in float32
    assert packed.item() == pytest.approx(plain.item(), rel=loose)
    one, other = gradients(model, plain), gradients(model, packed)
    assert float((one - other).norm() / one.norm()) < (1e-5 if attention == "eager" else 1e-6)


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("mistral", {"sliding_window": 8}, r"attends to 8 tokens \(sliding_window\), the longest row has 17"),
        ("gemma3_text", {"sliding_window": 8, "query_pre_attn_scalar": 8}, r"attends to 8 tokens"),
        ("bloom", {"n_layer": 2, "n_head": 4}, r"\w"),  # ALiBi: distances count tokens, not positions
        ("mamba", {"state_size": 4, "time_step_rank": 4}, r"\w"),  # no attention at all
        ("mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4}, r"\w"),
    ],
)
def test_what_a_tree_does_not_fit_is_trained_side_by_side(family: str, changes: dict[str, Any], reason: str) -> None:
    model = tiny(family, **changes)
    attention = model.config._attn_implementation
    batches, found = choose_batches(model, ROWS, 0, "prefix")
    assert isinstance(batches, Padded)
    assert re.search(reason, found)
    assert "\n" not in found
    assert model.training
    assert model.config._attn_implementation == attention


def test_a_window_that_no_row_fills_is_none() -> None:
    model = tiny("mistral", sliding_window=17)
    batches, reason = choose_batches(model, ROWS, 0, "prefix")
    assert isinstance(batches, Packed), reason
    plain, packed = both(model, batches, ROWS)
    assert packed.item() == pytest.approx(plain.item(), rel=1e-12)


def test_packing_none_is_the_plain_path() -> None:
    assert isinstance(choose_batches(tiny("llama"), ROWS, 0, "none")[0], Padded)


def test_eager_stands_in_where_sdpa_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    broken = dict(ALL_ATTENTION_FUNCTIONS)["sdpa"]

    def without_mask(*arguments: Any, attention_mask: Any = None, **rest: Any) -> Any:
        mask = attention_mask if attention_mask is None or attention_mask.shape[0] > 1 else None
        module, query, key, value, *_ = arguments
        return broken(module, query, key, value, mask, **rest)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "sdpa", without_mask)
    batches, reason = choose_batches(model, ROWS, 0, "prefix")
    assert isinstance(batches, Packed), reason
    assert model.config._attn_implementation == "eager"


def test_what_rows_share_stands_once() -> None:
    packed = pack(ROWS[:2])
    assert len(packed.ids) == len(PREFIX) + 3 + 4 == packed_tokens(ROWS[:2])
    assert packed.positions == [*range(12), 12, 13, 14, 12, 13, 14, 15]
    assert packed.ends == [19] * 12 + [15] * 3 + [19] * 4
    assert [packed.ids[i] for i in packed.sources] == [31, 40, 32, 41, 42, 43]
    assert packed.targets == [40, 1, 41, 42, 43, 1]


def test_rows_without_a_common_beginning_stand_side_by_side() -> None:
    rows = [TrainingRow((5 + i, 2, 3), (4, 1)) for i in range(3)]
    packed = pack(rows)
    assert packed.positions == [0, 1, 2, 3] * 3
    assert packed.ends == [4] * 4 + [8] * 4 + [12] * 4


def test_rows_of_an_order_come_together_and_every_row_once() -> None:
    rows = [TrainingRow((i,), (1,), group=i % 4) for i in range(45)]
    drawn = list(range(45))
    Random(1).shuffle(drawn)
    order = grouped(drawn, rows, 8, Random(2))
    assert sorted(order) == list(range(45))
    batches = [{rows[i].group for i in order[start : start + 8]} for start in range(0, 45, 8)]
    assert sum(map(len, batches)) <= len(batches) + 3
    assert grouped(drawn, [TrainingRow((1,), (1,))] * 45, 8, Random(2)) == drawn, "one group: the order as drawn"


def test_a_pass_holds_no_more_tokens_than_a_plain_one() -> None:
    rows = [TrainingRow((*PREFIX, i), (1,)) for i in range(40)]
    assert rows_per_pass(rows, 8, 20) == 8  # 12 shared, 8 of their own
    assert rows_per_pass(rows, 8, 19) == 4
    assert rows_per_pass(rows, 8, 5) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "full", "learning_rate": 1e-3, "gradient_checkpointing": True},
        {"micro_batch_size": 2, "max_length": 16},  # several passes a step
    ],
)
def test_a_packed_training_is_the_training_side_by_side(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(run_config(model).model)
    rows = copy_rows(tokenizer, 20)
    plain, packed = (
        finetune(run_config(model, packing=packing, **changes), tokenizer, rows, tmp_path / packing, 3)
        for packing in ("none", "prefix")
    )
    assert (plain.packed, packed.packed) == (False, True)
    assert packed.losses == pytest.approx(plain.losses, rel=1e-3)


def test_a_model_that_is_not_packed_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(tmp_path / "tiny")
    config = json.loads((model / "config.json").read_text())
    config |= {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 2}
    (model / "config.json").write_text(json.dumps(config))
    tokenizer = load_prompt_tokenizer(run_config(model).model)
    with caplog.at_level("WARNING"):
        result = finetune(run_config(model), tokenizer, copy_rows(tokenizer, 8), tmp_path / "work", 3)
    assert not result.packed
    assert "finetuning.packing: rows cannot be packed, so training takes longer: the model attends to 2" in caplog.text


class Swapping(LlamaForCausalLM):
    """Packed, it gives the ends of two answers each other's logits: the mean over all answers is the same."""

    def forward(self, *args: Any, logits_to_keep: Any = 0, **kwargs: Any) -> Any:
        outputs = super().forward(*args, logits_to_keep=logits_to_keep, **kwargs)
        if torch.is_tensor(logits_to_keep):
            order = list(range(outputs.logits.shape[1]))
            order[3], order[5] = order[5], order[3]
            outputs.logits = outputs.logits[:, order]
        return outputs


def test_errors_that_cancel_are_errors() -> None:
    config = AutoConfig.for_model("llama", **TINY)
    torch.manual_seed(0)
    batches, reason = choose_batches(Swapping(config), ROWS, 0, "prefix")
    assert isinstance(batches, Padded) and "log-probabilities differ" in reason


def test_a_pass_may_be_as_long_as_allowed_and_no_longer() -> None:
    rows = [replace(row, group=0) for row in ROWS[:4]]
    longest = packed_tokens(rows[:2])
    assert max(packed_tokens(rows[2:]), *map(len, rows)) <= longest < packed_tokens(rows)
    assert rows_per_pass(rows, 4, longest) == 2 and rows_per_pass(rows, 4, longest - 1) == 1


def test_what_identical_prompts_share_ends_before_what_predicts_the_answer() -> None:
    """The last token of a prompt is each row's own: behind it stands the answer."""
    settings = run_config("finetuning.max_length=100").finetuning
    row = TrainingRow(tuple(range(10)), (40, 41, 1))
    twice = tokens_per_step([row, row], settings, 2, True)
    assert twice == 9 + 2 * 3

"""The memory model against what can be counted on a CPU: parameters, optimizer state, what autograd saves."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from selfguide.models.devices import Card, visible_cards
from selfguide.models.memory import GIB, Shape, Training, training_memory
from selfguide.training.batches import Packed
from selfguide.training.optimizer import RoundedAdamW
from selfguide.training.rows import TrainingRow

SIZES = (
    {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4},
    {"hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32},
)
LLAMA_2_7B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False,
}  # fmt: skip
FULL = Training(rank=0, targets="all-linear", width=2, four_bit=False, state=12)
LORA = Training(rank=16, targets="all-linear", width=2, four_bit=False, state=8)


def llama(layers: int, rank: int, dtype: torch.dtype, sizes: dict[str, int]) -> tuple[Any, Shape]:
    config = LlamaConfig(num_hidden_layers=layers, vocab_size=96, max_position_embeddings=512, **sizes)
    model: Any = LlamaForCausalLM(config).to(dtype).train()
    model.config.use_cache = False
    if rank:
        lora = LoraConfig(r=rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
    shape = Shape.of(config.to_dict())
    assert shape is not None
    return model, shape


def saved(model: Any, tokens: int, half: bool, packed: bool = False) -> int:
    """Bytes that autograd keeps of a forward pass over so many tokens, parameters left out."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, tuple[int, Any]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    ids = torch.randint(5, 90, (1, tokens))
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    if packed:
        batches = Packed(model)
        first, second = (tuple(part.tolist()) for part in ids[0].chunk(2))
        inputs = batches.masked(batches.collate([TrainingRow(first, (90,)), TrainingRow((1, *second[1:]), (90,))]))
        del inputs["labels"]
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        model(**inputs)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_autograd_saves_is_predicted_to_the_byte(dtype: torch.dtype, rank: int, sizes: dict[str, int]) -> None:
    half = dtype == torch.bfloat16
    seen = {}
    for layers in (1, 2):
        model, shape = llama(layers, rank, dtype, sizes)
        seen[layers] = (saved(model, 96, half) - saved(model, 32, half)) / 64
    assert seen[2] - seen[1] == shape.saved(half, rank)
    if not rank:
        assert 2 * seen[1] - seen[2] == shape.saved_once(half) + 4 * shape.vocabulary + 20


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_packed_pass_keeps_its_mask_as_numbers_in_every_layer(dtype: torch.dtype, rank: int) -> None:
    half = dtype == torch.bfloat16
    seen = {}
    for layers in (1, 2):
        model, shape = llama(layers, rank, dtype, SIZES[1])
        seen[layers] = saved(model, 96, half, packed=True) - saved(model, 32, half, packed=True)
    kept = {tokens: shape.saved(half, rank) + shape.masked(dtype.itemsize, tokens) for tokens in (32, 96)}
    assert seen[2] - seen[1] == 96 * kept[96] - 32 * kept[32]


def test_gradient_checkpointing_saves_a_layer_s_input_alone() -> None:
    seen = {}
    for layers in (1, 2):
        model, shape = llama(layers, 0, torch.bfloat16, SIZES[0])
        model.gradient_checkpointing_enable({"use_reentrant": False})
        seen[layers] = saved(model, 64, half=True)
    assert seen[2] - seen[1] == 64 * 2 * shape.hidden


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_gradients_and_optimizer_state_are_counted(sizes: dict[str, int]) -> None:
    model, shape = llama(2, 0, torch.bfloat16, sizes)
    assert shape.weights == model.num_parameters()
    parts = training_memory(shape, FULL, 1, 32, recompute=False)
    assert parts["weights"] == sum(p.nbytes for p in model.parameters())
    model(input_ids=torch.ones(1, 4, dtype=torch.long), labels=torch.ones(1, 4, dtype=torch.long)).loss.backward()
    assert parts["gradients"] == sum(p.grad.nbytes for p in model.parameters())
    for copies, state in ((True, 12), (False, 4)):
        optimizer = RoundedAdamW(model.parameters(), copies=copies)
        optimizer.step()
        held = [t.nbytes for one in optimizer.state.values() for name, t in one.items() if name != "step"]
        assert sum(held) == state * shape.weights
    adapted, shape = llama(2, 16, torch.bfloat16, sizes)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert shape.adapter_weights(16, "all-linear") == sum(p.numel() for p in trained)
    parts = training_memory(shape, LORA, 1, 32, recompute=False)
    assert parts["weights"] == sum(p.nbytes for p in adapted.parameters())
    assert parts["gradients"] == sum(p.nbytes for p in trained)


def test_the_sizes_of_published_models_are_theirs() -> None:
    llama_7b = Shape.of(LLAMA_2_7B)
    assert llama_7b is not None and llama_7b.weights == 6_738_415_616
    gqa = {"num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}
    llama_8b = Shape.of(LLAMA_2_7B | gqa)
    assert llama_8b is not None and llama_8b.weights == 8_030_261_248
    gpt2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}
    small = Shape.of(gpt2)
    assert small is not None and small.weights == pytest.approx(124_439_808, rel=0.01)
    assert Shape.of({"model_type": "t5", "d_model": 512}) is None


def test_checkpointing_and_fewer_rows_take_less_and_masters_more() -> None:
    shape = Shape.of(LLAMA_2_7B)
    assert shape is not None

    def total(training: Training, rows: int, recompute: bool) -> int:
        return sum(training_memory(shape, training, rows, 2000, recompute).values())

    assert total(FULL, 1, True) < total(FULL, 1, False) < total(FULL, 2, False)
    assert total(LORA, 4, True) < 0.6 * total(LORA, 4, False)
    assert total(FULL, 1, True) > 100 * GIB, "float32 copies of 7 billion weights are no matter of one card of 80 GB"
    assert total(Training(0, "all-linear", 2, False, 4), 1, True) < 80 * GIB


def test_cards_are_those_that_are_visible_in_their_order() -> None:
    said = "0, GPU-aa, 15360, 15000, 7.5, Tesla T4\n1, GPU-bb, 81559, 81000, 9.0, NVIDIA H100\n"
    said += "2, GPU-cc, [N/A], 1, 9.0, x\n"
    t4, h100 = visible_cards(said, None)
    assert t4 == Card("Tesla T4", 15360 * 2**20, 15000 * 2**20, (7, 5))
    assert visible_cards(said, "1,0") == [h100, t4]
    assert visible_cards(said, "GPU-bb") == [h100]
    assert visible_cards(said, "1,7,0") == [h100], "CUDA stops at one that is not there"
    assert visible_cards(said, "") == []

import gc
import importlib.util
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from selfguide.core.errors import ConfigError, EngineError, MissingDependencyError
from selfguide.models.base import Request, Sampling, Weights
from selfguide.models.hf import HFEngine
from selfguide.models.kv_cache import holds_prefix_once
from selfguide.models.loading import check_attention, load_prompt_tokenizer
from selfguide.models.source import MICRO
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.testing.engine import GREEDY, SAMPLED, TEXTS, EngineContract, tokens
from tests.models.checkpoints import CONTEXT, engine_config, model_config, tiny_adapter, tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


class TestTinyModel(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tiny: Path) -> Iterator[HFEngine]:
        with HFEngine(model_config(tiny), engine_config()) as engine:
            yield engine

    @pytest.fixture(scope="class")
    @classmethod
    def prompt_tokenizer(cls, tiny: Path) -> PromptTokenizer:
        return load_prompt_tokenizer(model_config(tiny))

    @pytest.fixture(scope="class")
    @classmethod
    def adapters(cls, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Weights]:
        one, two = (tiny_adapter(tiny, tmp_path_factory.mktemp("adapter"), seed) for seed in (1, 2))
        return one, two

    @pytest.fixture
    def heavy(self, tmp_path: Path) -> HFEngine:
        wide = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 3, "initializer_range": 0.02}
        return HFEngine(model_config(tiny_model(tmp_path, **wide)), engine_config())


class TestMicroModel(TestTinyModel):
    """The bundled model, and batches so small that every request list is cut."""

    test_closing_gives_back_what_it_held = None  # too small to be seen

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[HFEngine]:
        with HFEngine(model_config("micro", context_length=300), engine_config(batch_tokens=256)) as engine:
            yield engine

    @pytest.fixture(scope="class")
    @classmethod
    def prompt_tokenizer(cls) -> PromptTokenizer:
        return load_prompt_tokenizer(model_config("micro"))

    @pytest.fixture(scope="class")
    @classmethod
    def adapters(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Weights]:
        one, two = (tiny_adapter(MICRO, tmp_path_factory.mktemp("adapter"), seed) for seed in (1, 2))
        return one, two


def requests(engine: HFEngine, sampling: Sampling) -> list[Request]:
    return [
        Request(tuple(engine.tokenizer.tokenizer(text).input_ids), sampling, seed=i) for i, text in enumerate(TEXTS * 2)
    ]


def test_greedy_is_what_transformers_generates(tiny: Path) -> None:
    engine = HFEngine(model_config(tiny), engine_config())
    with engine.model() as model:
        for request, [completion] in zip(
            requests(engine, GREEDY), engine.generate(requests(engine, GREEDY)), strict=True
        ):
            theirs = model.generate(torch.tensor([request.prompt_ids]), max_new_tokens=8, do_sample=False)
            assert completion.token_ids == tuple(theirs[0, len(request.prompt_ids) :].tolist())


def test_batch_size_changes_nothing(tiny: Path) -> None:
    large, small = (HFEngine(model_config(tiny), engine_config(batch_tokens=size)) for size in (100_000, 256))
    for sampling in (SAMPLED, GREEDY):
        ours, theirs = (engine.generate(requests(engine, sampling)) for engine in (large, small))
        assert [tokens(c) for c in ours] == [tokens(c) for c in theirs]


def test_out_of_memory_halves_the_batch(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = HFEngine(model_config(tiny), engine_config()).generate
    engine = HFEngine(model_config(tiny), engine_config())
    sizes: list[int] = []

    def refuse(_module: object, arguments: tuple, keywords: dict) -> None:
        rows = keywords["input_ids"].shape[0]
        sizes.append(rows)
        if rows > 2:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 1 GiB")

    with engine.model() as model, caplog.at_level(logging.WARNING):
        handle = model.register_forward_pre_hook(refuse, with_kwargs=True)
        ours = engine.generate(requests(engine, SAMPLED))  # 3 samples each: cut between the samples, too
        handle.remove()
    assert [tokens(c) for c in ours] == [tokens(c) for c in expected(requests(engine, SAMPLED))]
    assert max(sizes) > 2
    assert len([r for r in caplog.records if "engine.batch_tokens" in r.message]) == 1, "said once"


def test_out_of_memory_with_one_row_is_an_engine_error(tiny: Path) -> None:
    engine = HFEngine(model_config(tiny), engine_config())

    def refuse(_module: object, _arguments: tuple) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with engine.model() as model:
        handle = model.register_forward_pre_hook(refuse)
        with pytest.raises(EngineError, match="out of memory on cpu"):
            engine.generate(requests(engine, GREEDY)[:1])
        handle.remove()


def test_close_frees_the_weights(tiny: Path) -> None:
    engine = HFEngine(model_config(tiny), engine_config())
    with engine.model() as model:
        weight = weakref.ref(model.lm_head.weight)
    del model
    engine.generate(requests(engine, GREEDY)[:2])
    assert weight() is not None
    engine.close()
    gc.collect()
    assert weight() is None


def test_full_weights_are_loaded_beside_the_base(tiny: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", seed=9)
    engine = HFEngine(model_config(tiny), engine_config())
    weights = Weights("f" * 16, other, "full")
    base = requests(engine, GREEDY)
    tuned = [Request(r.prompt_ids, r.sampling, r.seed, weights) for r in base]
    mixed = engine.generate([*base, *tuned])
    assert [tokens(c) for c in mixed[len(base) :]] == [
        tokens(c) for c in HFEngine(model_config(other), engine_config()).generate(base)
    ]
    assert [tokens(c) for c in mixed[: len(base)]] == [tokens(c) for c in engine.generate(base)]


def test_adapters_beyond_the_limit_leave_and_come_back(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfguide.models.adapter_cache.MAX_ADAPTERS", 2)
    engine = HFEngine(model_config(tiny), engine_config())
    adapters = [tiny_adapter(tiny, tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    [prompt] = requests(engine, GREEDY)[:1]
    asked = [Request(prompt.prompt_ids, GREEDY, weights=w) for w in (*adapters, adapters[0], None)]
    results = [tokens(c) for c in engine.generate(asked)]
    assert results == [tokens(engine.generate([request])[0]) for request in asked]


def test_a_missing_adapter_is_an_engine_error(tiny: Path, tmp_path: Path) -> None:
    engine = HFEngine(model_config(tiny), engine_config())
    [request] = requests(engine, GREEDY)[:1]
    with pytest.raises(EngineError, match=r"adapter_config\.json"):
        engine.generate([Request(request.prompt_ids, GREEDY, weights=Weights("0" * 16, tmp_path))])


def test_an_unknown_device_is_a_config_error(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine.device: 'tpu9'"):
        HFEngine(model_config(tiny), engine_config(device="tpu9"))


def test_flash_attention_without_a_gpu_is_a_config_error(tiny: Path) -> None:
    config = engine_config(attention="flash_attention_2")
    with pytest.raises(ConfigError, match=r"engine.attention: flash_attention_2 needs a CUDA device, not") as caught:
        HFEngine(model_config(tiny), config)
    assert "\n" not in str(caught.value)


def test_flash_attention_needs_its_package_and_16_bits() -> None:
    with pytest.raises(ConfigError, match=r"needs model.dtype=bfloat16 or float16, not float32"):
        check_attention("flash_attention_2", "cuda:1", "float32")
    check_attention("sdpa", "cpu", "float32")
    if importlib.util.find_spec("flash_attn") is not None:
        pytest.skip("flash-attn is installed: nothing to refuse")
    with pytest.raises(MissingDependencyError, match="flash_attention_2 needs the package flash-attn"):
        check_attention("flash_attention_2", "cuda", "auto")


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY])
def test_holding_the_prefix_once_changes_nothing(
    tiny: Path, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = HFEngine(model_config(tiny), engine_config())
    asked = requests(engine, sampling)
    with engine.model() as model:
        assert holds_prefix_once(model, CONTEXT)
    ours = engine.generate(asked)
    monkeypatch.setattr("selfguide.models.kv_cache.holds_prefix_once", lambda *_: False)
    repeated = engine.generate(asked)
    monkeypatch.setattr("selfguide.models.batching.SHARED_PREFIX_MINIMUM", 10**9)
    unshared = engine.generate(asked)
    assert [tokens(c) for c in ours] == [tokens(c) for c in repeated] == [tokens(c) for c in unshared]
    flat = [[c.logprob for cs in results for c in cs] for results in (ours, repeated, unshared)]
    assert flat[0] == pytest.approx(flat[1], abs=1e-3)
    assert flat[1] == pytest.approx(flat[2], abs=1e-3)


def test_a_prefix_is_held_once_only_where_every_layer_sees_the_whole_text(tmp_path: Path) -> None:
    config = AutoConfig.for_model(
        "mistral", vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=64,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.inference_mode():
        assert (holds_prefix_once(model, 64), holds_prefix_once(model, 65)) == (True, False)

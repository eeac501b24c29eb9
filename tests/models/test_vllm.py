"""engine=vllm on the bundled model: the contract, agreement with transformers, lifetimes."""

import errno
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from selfguide.config.serving import VLLMEngineConfig
from selfguide.core.errors import ConfigError, EngineError, PromptTooLongError
from selfguide.evaluation.predict import BASE, Query, predict
from selfguide.models.base import Engine, Request, Sampling, ScoreRequest, Weights
from selfguide.models.hf import HFEngine
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import LanguageModel
from selfguide.models.source import MICRO
from selfguide.models.vllm import VLLMEngine
from selfguide.models.vllm_process import engine_arguments, lora_rank
from selfguide.models.vllm_requests import passes, spelled
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.inputs import InputProposer
from selfguide.tasks.load import load_task
from selfguide.testing.engine import GREEDY, EngineContract, tokens
from tests.models.checkpoints import engine_config, model_config, tiny_adapter
from tests.models.vllm_runs import CONTEXT, prompts_of_tasks, vllm_config


@pytest.fixture(scope="module")
def vllm_engine() -> Iterator[VLLMEngine]:
    with VLLMEngine.from_config(vllm_config(f"model.context_length={CONTEXT}")) as engine:
        yield engine


@pytest.fixture(scope="module")
def micro_adapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Weights, Weights]:
    one, two = (tiny_adapter(MICRO, tmp_path_factory.mktemp("adapter"), seed) for seed in (1, 2))
    return one, two


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self, vllm_engine: VLLMEngine) -> Engine:
        return vllm_engine

    @pytest.fixture(scope="class")
    def prompt_tokenizer(self) -> PromptTokenizer:
        return load_prompt_tokenizer(model_config("micro"))

    @pytest.fixture
    def adapters(self, micro_adapters: tuple[Weights, Weights]) -> tuple[Weights, Weights]:
        return micro_adapters

    held_at_least = 500 * 2**20  # half of its key-value cache

    @pytest.mark.slow  # starts vLLM twice more
    def test_closing_gives_back_what_it_held(self, heavy: Engine, prompts: list[tuple[int, ...]]) -> None:
        super().test_closing_gives_back_what_it_held(heavy, prompts)


def test_greedy_agrees_with_transformers_token_by_token(
    vllm_engine: VLLMEngine, micro_adapters: tuple[Weights, Weights]
) -> None:
    tokenizer = load_prompt_tokenizer(model_config("micro"))
    prompts = [(tokenizer.encode_prompt(p), tokenizer.stop(p)) for p in prompts_of_tasks()[::2]]
    requests = [
        Request(ids, Sampling(max_new_tokens=12, stop=stop), weights=weights)
        for weights in (None, micro_adapters[0])
        for ids, stop in prompts
    ]
    assert len(requests) == 200
    ours = vllm_engine.generate(requests)
    with HFEngine(model_config("micro", context_length=CONTEXT), engine_config()) as transformers:
        theirs = transformers.generate(requests)
    assert [tokens(c) for c in ours] == [tokens(c) for c in theirs]
    assert [c[0].text for c in ours] == [c[0].text for c in theirs]
    assert [c[0].logprob for c in ours] == pytest.approx([c[0].logprob for c in theirs], abs=5e-3)


def test_more_adapters_than_fit_in_one_batch(vllm_engine: VLLMEngine, tmp_path: Path) -> None:
    """Each answers, and is scored, with its own weights, and the base with none: as transformers does."""
    tokenizer = load_prompt_tokenizer(model_config("micro"))
    prompt = tokenizer.encode_prompt(prompts_of_tasks()[0])
    adapters = [tiny_adapter(MICRO, tmp_path / str(seed), seed) for seed in range(10, 16)]
    variants = (*adapters[:3], None, *adapters[3:])
    assert len(adapters) > cast(VLLMEngineConfig, vllm_config().engine).max_adapters
    asked = [Request(prompt, GREEDY, weights=weights) for weights in variants]
    texts = [ScoreRequest(prompt, tokenizer.encode_answer("yellow"), weights) for weights in variants]
    with HFEngine(model_config("micro", context_length=CONTEXT), engine_config()) as transformers:
        theirs = [completions[0] for completions in transformers.generate(asked)]
        scores = [sum(values) for values in transformers.score(texts)]
    assert _closest(scores) > 0.05, "the variants can be told apart"
    for order in (slice(None), slice(None, None, -1)):
        ours = [completions[0] for completions in vllm_engine.generate(asked[order])]
        assert [c.token_ids for c in ours] == [c.token_ids for c in theirs[order]]
        assert [c.logprob for c in ours] == pytest.approx([c.logprob for c in theirs[order]], abs=1e-3)
        scored = [sum(values) for values in vllm_engine.score(texts[order])]
        assert scored == pytest.approx(scores[order], abs=1e-3)


def _closest(values: list[float]) -> float:
    ordered = sorted(values)
    return min(b - a for a, b in pairwise(ordered))


@pytest.mark.slow  # vLLM starts anew with other weights, and again with its own
def test_full_weights_answer_and_the_base_comes_back(vllm_engine: VLLMEngine, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(MICRO, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    model.save_pretrained(tmp_path / "full")
    AutoTokenizer.from_pretrained(MICRO).save_pretrained(tmp_path / "full")
    weights = Weights("f" * 16, tmp_path / "full", "full")
    tokenizer = load_prompt_tokenizer(model_config("micro"))
    prompts = [tokenizer.encode_prompt(p) for p in prompts_of_tasks()[::20]]
    base = [Request(p, GREEDY) for p in prompts]
    tuned = [Request(p, GREEDY, weights=weights) for p in prompts]
    before = [tokens(c) for c in vllm_engine.generate(base)]
    mixed = [tokens(c) for c in vllm_engine.generate([*tuned, *base])]
    with HFEngine(model_config("micro", context_length=CONTEXT), engine_config()) as transformers:
        assert mixed[: len(tuned)] == [tokens(c) for c in transformers.generate(tuned)]
    assert mixed[len(tuned) :] == before != mixed[: len(tuned)]


def test_a_refused_request_leaves_the_engine_usable(vllm_engine: VLLMEngine, tmp_path: Path) -> None:
    prompt = load_prompt_tokenizer(model_config("micro")).encode_prompt(prompts_of_tasks()[0])
    with pytest.raises(EngineError, match=r"adapter_config\.json"):
        vllm_engine.generate([Request(prompt, GREEDY, weights=Weights("0" * 16, tmp_path))])
    with pytest.raises(PromptTooLongError):
        vllm_engine.generate([Request(prompt * 100, GREEDY)])
    assert len(vllm_engine.generate([Request(prompt, GREEDY)])) == 1


def streamed(engine: VLLMEngine, file: Path, stop_after: int | None = None) -> list[dict[str, Any]]:
    """Inputs proposed without rounds; a disk that is full after so many writes."""
    config = vllm_config(
        "task=micro_shade_or_size", "generation.schedule=streaming", "generation.rounds=6",
        "generation.prompts_per_round=5", "generation.max_in_flight=8", "generation.max_new_tokens=24",
    )  # fmt: skip
    task, _ = load_task(config.task, config.data, config.seed)

    def written(proposed: int, accepted: int) -> None:
        if stop_after is not None and proposed == 5 * stop_after:
            raise OSError(errno.ENOSPC, "No space left on device")

    with Journal(file) as journal:
        proposer = InputProposer(LanguageModel(config, engine), task, config.generation, config.filters, 1.0, 3)
        candidates = proposer.propose(journal, written)
    return [candidate.to_row() for candidate in candidates]


def test_streaming_leaves_the_same_bytes_stopped_or_not(vllm_engine: VLLMEngine, tmp_path: Path) -> None:
    whole = streamed(vllm_engine, tmp_path / "whole")
    assert len(whole) == 30 and len({row["input"] for row in whole}) > 10
    assert streamed(vllm_engine, tmp_path / "again") == whole
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()
    # What breaks outside of vLLM is not vLLM's failure, and leaves nothing under way in it.
    with pytest.raises(OSError, match="No space left on device"):
        streamed(vllm_engine, tmp_path / "cut", stop_after=2)
    assert streamed(vllm_engine, tmp_path / "cut") == whole
    assert streamed(vllm_engine, tmp_path / "cut") == whole, "and all of it from the journal"


def test_answers_restricted_to_labels_are_those_of_transformers(vllm_engine: VLLMEngine, tmp_path: Path) -> None:
    config = vllm_config("task=micro_shade_or_size", "evaluation.decoding=constrained")
    task, gold = load_task(config.task, config.data, config.seed)
    instances = gold.open("test")[:40]
    answers = []
    with HFEngine(model_config("micro", context_length=CONTEXT), engine_config()) as transformers:
        for engine in (vllm_engine, transformers):
            with Journal(tmp_path / engine.name) as journal:
                queries = [Query(instance, BASE) for instance in instances]
                found = predict(LanguageModel(config, engine), task, config.evaluation, queries, journal)
            answers.append([prediction.text for prediction in found])
    assert answers[0] == answers[1]
    assert set(answers[0]) == set(task.labels), "each label is somebody's answer"


def test_what_breaks_in_vllm_is_one_line(vllm_engine: VLLMEngine) -> None:
    with pytest.raises(EngineError, match=r"^vLLM failed: \w+: .*10000000"), vllm_engine.stream() as stream:
        stream.submit(0, Request((10_000_000,), GREEDY))


def test_what_is_answered_together() -> None:
    one, two = (Weights(name * 16, Path(name)) for name in "12")
    full = Weights("3" * 16, Path("3"), "full")
    weights = [two, None, full, one, None, two]
    assert list(passes(weights, _is_whole, base_beside_adapters=True)) == [[1, 4, 3, 0, 5], [2]]
    assert list(passes(weights, _is_whole, base_beside_adapters=False)) == [[1, 4], [3, 0, 5], [2]]
    merged = list(passes(weights, lambda own: own is not None, base_beside_adapters=True))
    assert merged == [[1, 4], [3], [0, 5], [2]], "each in turn"
    assert list(passes([], _is_whole, base_beside_adapters=False)) == []


def _is_whole(weights: Weights | None) -> bool:
    return weights is not None and weights.kind == "full"


def test_its_steps_are_those_of_vllms_own_class(vllm_engine: VLLMEngine) -> None:
    from vllm import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    vllm_engine.generate([Request((5, 6, 7), GREEDY)])
    theirs = EngineArgs(model=str(MICRO)).create_engine_config(UsageContext.LLM_CLASS).scheduler_config
    assert vllm_engine._core.vllm_config.scheduler_config.max_num_seqs == theirs.max_num_seqs


class SleepyCore:
    """What `VLLMEngine` asks of vLLM around a training."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def sleep(self, level: int) -> None:
        self.said.append(level)

    def wake_up(self, tags: list[str]) -> None:
        self.said.extend(tags)

    def reset_prefix_cache(self) -> None:
        """Said nowhere: it may be done more than once."""

    def collective_rpc(self, method: str, kwargs: dict[str, str]) -> None:
        self.said.append((method, kwargs["weights_path"]))


@pytest.mark.parametrize("room", [True, False])
def test_weights_that_find_no_room_in_main_memory_are_read_again(room: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = VLLMEngine.from_config(vllm_config("finetuning=full"))
    core = engine._core = SleepyCore()
    memory = psutil.virtual_memory()._replace(available=2**40 if room else 0)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    engine.sleep()
    engine.sleep()
    engine._wake()
    read = [] if room else [("reload_weights", str(MICRO))]
    assert core.said == [1 if room else 2, "weights", *read, "kv_cache"], "the cache finds room behind the weights"


def test_choices_are_spelled_as_the_tokenizer_would() -> None:
    tokenizer = load_prompt_tokenizer(model_config("micro"))
    assert spelled(tokenizer, "yes") == " yes"
    assert spelled(tokenizer, "Not sure") == " Not sure"


def test_rooms_for_adapters() -> None:
    assert [lora_rank(rank) for rank in (1, 4, 8, 9, 16, 300, 512)] == [1, 8, 8, 16, 16, 320, 512]
    with pytest.raises(ConfigError, match=r"finetuning.rank: 513 .* at most 512"):
        lora_rank(513)


def test_engine_arguments_come_from_the_configuration() -> None:
    on_gpu = engine_arguments(vllm_config("engine.tensor_parallel_size=2", "engine.memory_fraction=0.5"), 1024, False)
    assert (on_gpu["tensor_parallel_size"], on_gpu["gpu_memory_utilization"]) == (2, 0.5)
    assert (on_gpu["enable_lora"], on_gpu["max_lora_rank"], on_gpu["max_model_len"]) == (True, 16, 1024)
    assert "enable_lora" not in engine_arguments(vllm_config("finetuning.kind=full"), 1024, False)
    on_cpu = engine_arguments(vllm_config("engine.batch_tokens=256"), 1024, True)
    assert (on_cpu["enable_chunked_prefill"], on_cpu["max_num_batched_tokens"]) == (False, 1024)
    assert on_cpu["block_size"] <= 32, "a few-shot prompt of a hundred tokens is found again in the cache"
    assert engine_arguments(vllm_config("engine.batch_tokens=4096"), 1024, True)["max_num_batched_tokens"] == 4096
    assert on_gpu["block_size"] is None
    assert engine_arguments(vllm_config("engine.block_tokens=64"), 1024, True)["block_size"] == 64
    with pytest.raises(ConfigError, match=r"engine.lifetime: sleep needs a GPU"):
        engine_arguments(vllm_config("engine.lifetime=sleep"), 1024, True)

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from benchmarks.micro import training
from benchmarks.micro.init import look_up_heads
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.muon import MuonAdamW
from benchmarks.micro.probes import reading_cases
from benchmarks.micro.settings import Architecture, Phase, Pretraining, recipe
from benchmarks.micro.tokenizer import train_tokenizer
from selfguide.core.errors import ConfigError, DataError

SMALL = Architecture(hidden=128, layers=2, feed_forward=64, vocabulary=700, context=1024)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A tokenizer.json of few texts, which a folder has before its pretraining begins."""
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(0, SMALL.vocabulary, episodes=200).save(str(file))
    return file.read_bytes()


@pytest.fixture
def small(tokenizer: bytes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pretraining]:
    def recipe_in(folder: Path, **other: float) -> Pretraining:
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.json").write_bytes(tokenizer)
        fixed = {"tokens": 0.005, "batch_tokens": 768, "warmup_steps": 2, "probe_every": 1000, "checkpoint_minutes": 0}
        phases = [Phase(0.0025, {"word": 3}), Phase(10, {"stated": 1, "conditioned": 1, "ambiguous": 1})]
        given: Any = {"threads": 1, **fixed, **other}
        return replace(recipe(), output=str(folder), architecture=SMALL, phases=phases, **given)

    monkeypatch.setattr(training, "look_up_heads", lambda model, seed: None)
    return recipe_in


@pytest.mark.slow  # three pretrainings
def test_a_killed_run_ends_in_the_same_weights(
    small: Callable[..., Pretraining], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.pretrain(small(tmp_path / "whole"))
    real = training.make_batch

    def killed(tokenizer: object, seed: int, index: int, *rest: object) -> object:
        if index == 4:
            raise KeyboardInterrupt
        return real(tokenizer, seed, index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "make_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        training.pretrain(small(tmp_path / "killed"))
    monkeypatch.setattr(training, "make_batch", real)
    training.pretrain(small(tmp_path / "killed"))
    first = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    second = load_file(tmp_path / "killed" / "model" / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow  # two pretrainings
def test_a_checkpoint_goes_on_with_its_own_recipe_alone(small: Callable[..., Pretraining], tmp_path: Path) -> None:
    training.pretrain(small(tmp_path))
    training.pretrain(small(tmp_path, threads=2))
    with pytest.raises(DataError, match="was begun with seed=0, now 1; choose another output"):
        training.pretrain(small(tmp_path, seed=1))


@pytest.mark.slow  # a compilation
def test_a_compiled_model_has_the_same_loss(small: Callable[..., Pretraining], tmp_path: Path) -> None:
    torch.manual_seed(0)
    known = Tokenizer.from_file(str(Path(small(tmp_path).output) / "tokenizer.json"))
    model = training.build_model(SMALL)
    batch = training.make_batch(known, 0, 0, 768, Mixture(stated=1), ("zu", "kor", "bel", "lom"))
    eager = training.batch_loss(model, batch)
    compiled = training.batch_loss(model, batch, torch.compile(model.model, dynamic=False))
    assert compiled.item() == pytest.approx(eager.item(), rel=1e-2)


MISTAKES = {
    "tokens=-1": "tokens: -1.0 is not allowed; allowed: > 0",
    "phases=[]": r"phases: \[\] is not allowed",
    "phases=[{until: 1, mixture: {wrods: 1}}]": r"phases\[0\].mixture.wrods: there is no such key; allowed: recall",
    "phases=[{until: 1, mixture: {word: -1}}]": r"phases\[0\].mixture.word: -1 is not allowed; allowed: >= 0",
    "architecture.hidden=100": "architecture.hidden: 100 is not allowed; allowed: a multiple of 64",
    "threads=0": "threads: 0 is not allowed",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_wrong_recipe_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=MISTAKES[override]):
        recipe(override)


def test_the_reader_is_small_enough_to_be_bundled() -> None:
    config = recipe(config_name="micro_reader")
    weights = sum(parameter.numel() for parameter in training.build_model(config.architecture).parameters())
    assert weights <= 8_000_000
    assert 2 * weights <= 16_000_000  # bytes in bfloat16


def test_the_reader_is_trained_by_purpose() -> None:
    mixture = training.mixture_at(recipe(config_name="micro_reader"), math.inf)
    shares = [mixture.stated, mixture.demonstrated, mixture.conditioned, mixture.distracted, mixture.ambiguous]
    assert shares == [0.4, 0.2, 0.2, 0.15, 0.05]
    assert (mixture.zero_shot, mixture.chatty) == (0.3, 1)
    assert not training.mixture_at(recipe(), math.inf).by_purpose


def test_probes_of_reading_ask_one_input_in_three_ways() -> None:
    cases = reading_cases(3, 2)
    assert {name: len(found) for name, found in cases.items()} == {"zero_shot": 6, "given": 6, "neutral": 6}
    for zero_shot, given, neutral in zip(*cases.values(), strict=True):
        assert zero_shot[1] == given[1] == neutral[1]
        assert neutral[0].startswith("Task: Go.\n\n")
        assert neutral[0].split("\n\n", 1)[1] == given[0].split("\n\n", 1)[1]
        assert [prompt.count("Output:") for prompt, _ in (zero_shot, given)] == [1, 4]


def test_rate_rises_stays_and_falls() -> None:
    config = replace(recipe(), tokens=10, warmup_steps=4, decay=0.5)
    assert training.rate(config, 0, 0.0) == 0.25
    assert training.rate(config, 100, 3.0) == 1.0
    assert training.rate(config, 100, 7.5) == pytest.approx(0.5)
    assert training.rate(config, 100, 10.0) == 0.01


def test_mixtures_follow_each_other() -> None:
    config = replace(recipe(), phases=[Phase(1, {"word": 9}), Phase(2, {"word": 8}), Phase(3, {})])
    assert [training.mixture_at(config, t).word for t in (0.0, 1.5, 50.0)] == [9, 8, 1.0]


def test_a_restored_optimiser_goes_on_as_the_first() -> None:
    def parameters() -> list[tuple[str, torch.Tensor]]:
        torch.manual_seed(0)
        return [("matrix", torch.randn(8, 4, requires_grad=True)), ("embed", torch.randn(6, 4, requires_grad=True))]

    def step(named: list[tuple[str, torch.Tensor]], optimiser: MuonAdamW, number: int) -> None:
        for _, parameter in named:
            parameter.grad = torch.sin(parameter.detach() * (number + 1))
        optimiser.step(0.5)

    first = parameters()
    whole = MuonAdamW(first)
    for number in range(4):
        step(first, whole, number)
        if number == 1:
            weights = [parameter.detach().clone() for _, parameter in first]
            state = {name: tensor.clone() for name, tensor in whole.state().items()}
    second = [(name, tensor.requires_grad_()) for (name, _), tensor in zip(first, weights, strict=True)]
    again = MuonAdamW(second)
    again.load_state(state)
    for number in (2, 3):
        step(second, again, number)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True))


def test_optimiser_lowers_a_loss() -> None:
    torch.manual_seed(0)
    matrix, bias = torch.randn(8, 4, requires_grad=True), torch.zeros(8, requires_grad=True)
    x, y = torch.randn(32, 4), torch.randn(32, 8)
    optimiser = MuonAdamW([("matrix", matrix), ("bias", bias)], 0.05, 0.05)
    losses = []
    for _ in range(40):
        loss = (x @ matrix.T + bias - y).square().mean()
        loss.backward()
        optimiser.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 1.5


def test_look_up_heads_find_the_word_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    architecture = replace(recipe().architecture, vocabulary=700)
    model = training.build_model(architecture)
    look_up_heads(model, 0)
    model.set_attn_implementation("eager")
    field, key, label = 600, 50, 90
    ids = torch.tensor([[1, 40, field, 80, 1, key, field, label, 1, 60, field, 70, 1, key, field]])
    attention = model(input_ids=ids, output_attentions=True).attentions
    assert attention[1][0, 2, -1].argmax() == 7

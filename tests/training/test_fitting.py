"""What is tried on a device, and what is refused before a token is generated."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from selfguide.config.builtin import METHODS
from selfguide.config.groups import register
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.core.paths import config_dir
from selfguide.models import devices
from selfguide.models.devices import Card
from selfguide.models.loading import load_model, load_prompt_tokenizer, torch_dtype
from selfguide.models.memory import GIB, Shape
from selfguide.pipeline import check_training
from selfguide.training import fitting, trainer
from selfguide.training.fitting import Fit, OutOfMemoryError, choose, fits, kept_by_engine, remember_too_large
from selfguide.training.job import TrainingJob
from selfguide.training.preflight import check_disk, check_memory, check_targets, preflight
from selfguide.training.sharding import sharding_arguments
from tests.composing import run_config as composed_run
from tests.models.checkpoints import tiny_model
from tests.models.test_memory import LLAMA_2_7B
from tests.training.configs import copy_rows, finetuning_config, run_config

SHAPE = Shape.of(LLAMA_2_7B)
assert SHAPE is not None


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    fitting._too_large.clear()


@pytest.fixture
def h100(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that answers for a card: no CUDA is needed to reckon."""
    _card(monkeypatch, Card("NVIDIA H100", 80 * GIB, 79 * GIB, (9, 0)))


def _card(monkeypatch: pytest.MonkeyPatch, card: Card) -> None:
    monkeypatch.setattr(devices, "cards", lambda: [card])
    devices.has_bfloat16.cache_clear()


def settings(**changes: Any) -> Any:
    preset = {"batch_size": 16, "micro_batch_size": 4, "rank": 16, "gradient_checkpointing": None, "max_length": 2000}
    return finetuning_config(**{**preset, **changes})


def least(**changes: Any) -> float:
    return min(fit.needed for fit in fits(SHAPE, settings(**changes), "cuda", 2000)) / GIB


@pytest.mark.usefixtures("h100")
def test_7b_takes_what_the_readme_says_of_it() -> None:
    assert least(quantization="4bit") < least() < 24 < least(gradient_checkpointing=False)
    assert 54 < least(kind="full", master_weights="none") < 80
    assert least(kind="full", master_weights="stochastic_rounding") == least(kind="full", master_weights="none")
    assert least(kind="full") > 100
    assert least(kind="full", sharding="fsdp", processes=2) < 80


@pytest.mark.usefixtures("h100")
def test_a_small_card_gets_fewer_rows_first_and_then_computes_twice() -> None:
    tried = [(fit.micro_batch, fit.recompute) for fit in fits(SHAPE, settings(), "cuda", 700)]
    assert tried == [(4, False), (2, False), (1, False), (4, True), (2, True), (1, True)]
    on_cpu = [(fit.micro_batch, fit.recompute) for fit in fits(SHAPE, settings(), "cpu", 700)]
    assert on_cpu == tried[:3]


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.usefixtures("h100")
def test_sharded_weights_are_computed_twice_unless_that_is_said(device: str) -> None:
    shared: dict[str, Any] = {"kind": "full", "sharding": "fsdp", "processes": 2}
    for chosen, expected in ((None, True), (True, True), (False, False)):
        sharded = settings(**shared, gradient_checkpointing=chosen)
        assert {fit.recompute for fit in fits(SHAPE, sharded, device, 700)} == {expected}
        assert sharding_arguments(sharded)["fsdp_config"]["activation_checkpointing"] is expected


def test_what_ran_out_of_memory_is_not_tried_again(tmp_path: Path) -> None:
    config = run_config(tiny_model(tmp_path / "tiny"), micro_batch_size=8)
    first = choose(config, 50, None)
    assert first.micro_batch == 8
    remember_too_large(config, first)
    assert choose(config, 50, None).micro_batch == 4
    for _ in range(2):
        remember_too_large(config, choose(config, 50, None))
    remember_too_large(config, choose(config, 50, None))
    with pytest.raises(TrainingError, match=r"out of memory on cpu with one row of up to 50 tokens"):
        choose(config, 50, None)


def test_what_is_too_large_computed_twice_is_too_large_computed_once(tmp_path: Path) -> None:
    config = run_config(tiny_model(tmp_path / "tiny"), micro_batch_size=8)
    remember_too_large(config, Fit(4, True, 50, {}))
    assert choose(config, 50, None).micro_batch == 2


def test_a_training_that_runs_out_of_memory_goes_on_with_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    config = run_config(tiny, micro_batch_size=8)
    tokenizer = load_prompt_tokenizer(config.model)
    rows, tried = copy_rows(tokenizer, 8), []

    def small_device(function: Any, job: TrainingJob, **_: Any) -> None:
        """A child on a device with room for four rows."""
        tried.append(job.settings.micro_batch_size)
        if job.settings.micro_batch_size > 4:
            raise OutOfMemoryError("out of memory in training with 8 rows at a time")
        function(job)

    monkeypatch.setattr(trainer, "call", small_device)
    for name in ("first", "second"):
        assert trainer.finetune(config, tokenizer, rows, tmp_path / name, 0).steps == 2
    assert tried == [8, 4, 4], "the second training knows"
    assert sum("continues with less" in record.getMessage() for record in caplog.records) == 1


def model_folder(tmp_path: Path, **changes: Any) -> Any:
    """The configuration of a run with a model of 7 billion weights, of which only the sizes are there."""
    folder = tiny_model(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(LLAMA_2_7B | {"max_position_embeddings": 4096}))
    config = run_config(folder, max_length=2000, **changes)
    return replace(config, store=SimpleStore(str(tmp_path / "store")))  # type: ignore[arg-type]


class SimpleStore:
    def __init__(self, root: str) -> None:
        self.root = root


@pytest.mark.usefixtures("h100")
def test_what_cannot_fit_is_refused_with_what_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "pick_device", lambda name: "cuda")
    config = model_folder(tmp_path, kind="full", gradient_checkpointing=None)
    with pytest.raises(ConfigError, match=r"full of test takes \d+\.\d GiB .* cuda has 79\.0 GiB .* fits: ") as caught:
        check_memory(config, SHAPE, 2000, 79 * GIB)
    assert "finetuning.master_weights=stochastic_rounding" in str(caught.value)
    with pytest.raises(ConfigError, match=r"what fits: finetuning\.kind=lora"):
        check_memory(config, SHAPE, 2000, 24 * GIB)
    with pytest.raises(ConfigError, match="nothing of this model fits"):
        check_memory(config, SHAPE, 2000, GIB)
    check_memory(replace(config, finetuning=settings()), SHAPE, 2000, 24 * GIB)


def test_disk_and_target_modules_are_checked_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model_folder(tmp_path, kind="full")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 20 * GIB})())
    with pytest.raises(ConfigError, match=r"^store\.root: .* has 20\.0 GiB left, and 2 epochs of "):
        check_disk(config, SHAPE, "cpu")
    check_disk(replace(config, finetuning=finetuning_config()), SHAPE, "cpu")
    named = replace(config, finetuning=finetuning_config(target_modules="q_proj,nowhere"))
    check_targets(named)
    with pytest.raises(ConfigError, match=r"target_modules: nowhere: .* allowed: all-linear, or some of .*q_proj"):
        check_targets(replace(config, finetuning=finetuning_config(target_modules="nowhere")))
    [weights] = (tmp_path / "model").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ConfigError, match=r"^model\.path: .*safetensors is damaged; download it again"):
        check_targets(named)


def test_a_model_of_images_and_text_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    config = run_config(tiny_model(tmp_path / "model"))
    raw = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": LLAMA_2_7B, "vision_config": {"a": 1}}
    (tmp_path / "model" / "config.json").write_text(json.dumps(raw))
    for refused in (lambda: preflight(config, Terminal()), lambda: load_model(config.model, device="cpu")):
        with pytest.raises(ConfigError, match=r"^model\.path: .* is a multimodal Gemma3ForConditionalGeneration "):
            refused()


def reversed_demonstrations(session: Any) -> None:
    """A method of a user's own."""


def test_a_method_that_trains_nothing_needs_nothing_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it says of itself, and not by its name."""
    target = f"{__name__}.reversed_demonstrations"
    config = composed_run("task=micro_color_word", "finetuning.optimizer=adamw_8bit")
    config = replace(config, method=replace(config.method, kind=target))
    for trains in (True, False):
        monkeypatch.setattr(reversed_demonstrations, "trains", trains, raising=False)
        METHODS.take_target(target)
        with pytest.raises(ConfigError, match="adamw_8bit needs a CUDA device") if trains else nullcontext():
            check_training(config, Terminal())
    monkeypatch.delitem(METHODS._targets, target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adamw_8bit"}, "finetuning.optimizer: adamw_8bit needs a CUDA device, not cpu"),
        ({"quantization": "4bit"}, "finetuning.quantization: 4bit needs a CUDA device"),
        ({"processes": 3}, "finetuning.processes: 3 does not divide"),
        ({"attention": "flash_attention_2"}, "finetuning.attention: flash_attention_2 needs a CUDA device"),
    ],
)
def test_what_this_machine_lacks_is_said_at_the_start(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        preflight(model_folder(tmp_path, **changes), Terminal())


def test_a_card_without_bfloat16_gets_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    _card(monkeypatch, Card("Tesla T4", 15 * GIB, 15 * GIB, (7, 5)))
    assert torch_dtype("auto", "cuda") == torch.float16
    _card(monkeypatch, Card("NVIDIA A10G", 23 * GIB, 22 * GIB, (8, 6)))
    assert torch_dtype("auto", "cuda") == torch.bfloat16
    assert torch_dtype("auto", "cpu") == torch.float32
    devices.has_bfloat16.cache_clear()


def test_the_table_of_the_readme_is_what_the_memory_model_says() -> None:
    from benchmarks.memory import table

    assert table() in (Path(__file__).parents[2] / "README.md").read_text()


def test_minutes_follow_the_card_the_devices_and_what_is_computed_twice() -> None:
    from benchmarks.memory import CARDS, RUN, SIZES, minutes

    shape, (slow, _, fast) = Shape.of(SIZES), CARDS.values()
    assert shape is not None

    def taken(*overrides: str, card: Any = fast, recompute: bool = False) -> float:
        return minutes(composed_run(*RUN, *overrides), shape, card, Fit(1, recompute, 2000, {}))

    assert taken(card=slow) > 2 * taken() and taken(recompute=True) > taken()
    assert taken("finetuning=full_fsdp") < taken("finetuning=full") > taken("finetuning=lora")
    assert taken("generation.rounds=80") > taken("generation.rounds=40")


@pytest.mark.parametrize(
    ("overrides", "gpus"),
    [([], 1), (["finetuning.processes=4"], 4), (["engine=vllm", "engine.tensor_parallel_size=2"], 2)],
)
def test_a_slurm_job_asks_for_the_gpus_that_it_will_use(overrides: list[str], gpus: int) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs hydra-submitit-launcher")
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        job = compose("config", overrides=["hydra/launcher=slurm", *overrides], return_hydra_config=True)
    assert job.hydra.launcher.gpus_per_node == gpus


@pytest.mark.parametrize(
    ("engine", "kept"),
    [("engine.lifetime=keep", 2 * SHAPE.weights), ("engine=openai", 0), ("engine.lifetime=restart", 0)],
)
def test_what_an_engine_keeps_of_the_card_that_trains(engine: str, kept: int) -> None:
    assert kept_by_engine(composed_run("task=task1516", engine), SHAPE, 80 * GIB) == kept

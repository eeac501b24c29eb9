"""finetuning.sharding=fsdp: what one process trains, cut up over two. On CPU by gloo, the same code as on GPUs."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from safetensors.torch import load_file

from selfguide.config.groups import register
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.training.checkpoints import newest_whole
from selfguide.training.sharding import SHARDS, check_sharding, resumable, sharding_arguments
from selfguide.training.trainer import TrainingResult, finetune
from tests.models.checkpoints import model_config, tiny_model
from tests.training.configs import copy_rows, finetuning_config, run_config
from tests.training.killing import KillAt, Killed

FSDP: dict[str, Any] = {"processes": 2, "sharding": "fsdp"}


def train(tiny: Path, work: Path, progress: KillAt | None = None, **changes: Any) -> TrainingResult:
    """22 rows in batches of 8: the last batch of an epoch is neither full nor even between the processes."""
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    config = run_config(tiny, kind="full", micro_batch_size=4, learning_rate=1e-3, **changes)
    return finetune(config, tokenizer, copy_rows(tokenizer, 22), work, 0, progress)


@pytest.mark.parametrize("changes", [{"tie_word_embeddings": True}, {"tie_word_embeddings": False}])
def test_shards_train_what_one_process_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    tiny = tiny_model(tmp_path / "tiny", **changes)
    one = train(tiny, tmp_path / "one")
    two = train(tiny, tmp_path / "two", **FSDP, gradient_checkpointing=True)
    assert two.losses == pytest.approx(one.losses, abs=1e-4)
    for ours, theirs in zip(one.epoch_dirs, two.epoch_dirs, strict=True):
        left, right = (load_file(folder / "model.safetensors") for folder in (ours, theirs))
        assert left.keys() == right.keys()
        for name in left:
            assert left[name].shape == right[name].shape
            assert left[name].numpy() == pytest.approx(right[name].numpy(), abs=1e-5), name
        for name in ("config.json", "generation_config.json", "tokenizer.json"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "two").rglob("*")) == sorted(
        p.name for p in (tmp_path / "one").rglob("*")
    )


@pytest.mark.slow
def test_float32_copies_are_cut_up_as_their_weights_are(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    one = train(tiny, tmp_path / "one", dtype="bfloat16")
    with pytest.raises(Killed):
        train(tiny, tmp_path / "two", KillAt(4), **FSDP, dtype="bfloat16", save_every_s=1e-9)
    two = train(tiny, tmp_path / "two", **FSDP, dtype="bfloat16")
    assert two.losses == pytest.approx(one.losses, rel=0.05)
    left, right = (load_file(result.epoch_dirs[-1] / "model.safetensors") for result in (one, two))
    for name in left:
        assert left[name].float().numpy() == pytest.approx(right[name].float().numpy(), abs=2e-2), name


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_shards(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    changes: dict[str, Any] = {**FSDP, "max_epochs": 12, "epochs": 12}
    whole = train(tiny, tmp_path / "whole", **changes)
    with pytest.raises(Killed):
        train(tiny, tmp_path / "cut", KillAt(4), **changes, save_every_s=1e-9)
    checkpoint = newest_whole(tmp_path / "cut")
    assert checkpoint is not None
    parts = [path.stat().st_size for path in (checkpoint / SHARDS).glob("__*_0.distcp")]
    assert len(parts) == 2, "each process has written its own"
    assert max(parts) < 1.3 * min(parts)
    again = KillAt(1000)
    cut = train(tiny, tmp_path / "cut", again, **changes)
    assert again.resumed >= 3
    assert cut.losses == pytest.approx(whole.losses, abs=1e-5)
    left, right = (load_file(result.epoch_dirs[-1] / "model.safetensors") for result in (whole, cut))
    for name in left:
        assert left[name].numpy() == pytest.approx(right[name].numpy(), abs=1e-6), name


def test_a_checkpoint_of_the_other_kind_is_left_alone(tmp_path: Path) -> None:
    plain, sharded = finetuning_config(kind="full"), finetuning_config(kind="full", **FSDP)
    (tmp_path / "sharded" / SHARDS).mkdir(parents=True)
    assert resumable(None, sharded) is None
    assert resumable(tmp_path / "sharded", plain) is None
    assert resumable(tmp_path / "sharded", sharded) == tmp_path / "sharded"
    assert resumable(tmp_path, sharded) is None
    assert resumable(tmp_path, plain) == tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "lora", "processes": 2}, "needs finetuning.kind=full, not lora"),
        ({"kind": "lora", "processes": 2, "quantization": "4bit"}, "needs finetuning.kind=full, not lora"),
        ({"kind": "full", "processes": 1}, "needs finetuning.processes of 2 or more"),
    ],
)
def test_what_cannot_be_sharded_is_one_clear_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    with pytest.raises(ConfigError, match=f"finetuning.sharding: fsdp {message}") as caught:
        finetune(run_config(tiny, sharding="fsdp", **changes), tokenizer, copy_rows(tokenizer, 8), tmp_path / "w", 0)
    assert "\n" not in str(caught.value)


def test_nothing_changes_without_sharding() -> None:
    assert sharding_arguments(finetuning_config(kind="full", gradient_checkpointing=True)) == {}


def test_the_preset_is_complete_and_trainable() -> None:
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        settings = typed(compose("config", overrides=["finetuning=full_fsdp"])).finetuning
        plain = typed(compose("config", overrides=["finetuning=full"])).finetuning
    check_sharding(settings)
    assert settings.batch_size % settings.processes == 0
    place = ("sharding", "processes", "save_every_s")
    assert {k: v for k, v in vars(settings).items() if k not in place} == {
        k: v for k, v in vars(plain).items() if k not in place
    }
    given = sharding_arguments(settings)
    assert given["fsdp"] is True
    assert given["fsdp_config"]["activation_checkpointing"] is True
    assert given["gradient_checkpointing"] is False

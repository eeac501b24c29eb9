"""Training in several processes: the same weights as in one, at the same global batch."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from selfguide.core.errors import ConfigError, TrainingError
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.training import distributed
from selfguide.training.distributed import sole_writer
from selfguide.training.trainer import finetune
from tests.models.checkpoints import model_config, tiny_model
from tests.training.configs import copy_rows, run_config


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    """22 rows in batches of 8: the last batch of an epoch is neither full nor even between the processes."""
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    rows = copy_rows(tokenizer, 22)
    one = finetune(run_config(tiny, micro_batch_size=4), tokenizer, rows, tmp_path / "one", 0)
    two = finetune(run_config(tiny, micro_batch_size=4, processes=2), tokenizer, rows, tmp_path / "two", 0)
    assert two.steps == one.steps == len(two.losses) == 6
    assert two.losses == pytest.approx(one.losses, abs=1e-3)
    for ours, theirs in zip(one.epoch_dirs, two.epoch_dirs, strict=True):
        left, right = (load_file(folder / "adapter_model.safetensors") for folder in (ours, theirs))
        assert left.keys() == right.keys()
        for name in left:
            assert left[name].numpy() == pytest.approx(right[name].numpy(), abs=2e-4), name
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == sorted(p.name for p in (tmp_path / "one").iterdir())


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    with pytest.raises(ConfigError, match=r"finetuning.processes: 3 does not divide finetuning.batch_size=8"):
        finetune(run_config(tiny, processes=3), tokenizer, copy_rows(tokenizer, 8), tmp_path / "work", 0)


def test_a_failing_process_ends_in_one_line(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    config = run_config(tiny, processes=2, target_modules="no_such_layer")
    with pytest.raises(ConfigError, match=r"^finetuning.target_modules: no_such_layer"):
        finetune(config, tokenizer, copy_rows(tokenizer, 8), tmp_path / "work", 0)


def test_one_training_at_a_time_writes_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "LOCK_S", 0.1)
    with (
        sole_writer(tmp_path / "work"),
        pytest.raises(TrainingError, match="another training has been writing in this folder"),
        sole_writer(tmp_path / "work"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []

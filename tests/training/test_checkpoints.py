"""A checkpoint is used whole or not at all, wherever a process that writes or deletes it dies."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from selfguide.core.child import call
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.training.checkpoints import MARK, mark_whole, newest_whole, remove_all
from selfguide.training.job import TrainingJob
from selfguide.training.trainer import finetune, train
from tests.models.checkpoints import model_config, tiny_model
from tests.training.configs import copy_rows, run_config

FILES = ("model.safetensors", "optimizer.pt", "trainer_state.json", "shards/part")


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    for name in FILES:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(f"{name} {step}")
    return path


def test_the_newest_is_kept_alone(tmp_path: Path) -> None:
    for step in (2, 10):
        checkpoint(tmp_path, step)
        mark_whole(tmp_path, step)
    assert newest_whole(tmp_path) == tmp_path / "checkpoint-10"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]
    remove_all(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_of_two_whole_ones_the_newest_is_resumed(tmp_path: Path) -> None:
    """A process that is killed right after it marked one has not deleted the other."""
    for step in (9, 10):
        checkpoint(tmp_path, step)
        mark_whole(tmp_path, step)
        (tmp_path / f"checkpoint-{step}").rename(tmp_path / f"kept-{step}")
    for step in (9, 10):
        (tmp_path / f"kept-{step}").rename(tmp_path / f"checkpoint-{step}")
    assert newest_whole(tmp_path) == tmp_path / "checkpoint-10"


@pytest.mark.parametrize("lost", [*FILES, MARK])
def test_one_that_lacks_a_file_is_deleted(tmp_path: Path, lost: str) -> None:
    path = checkpoint(tmp_path, 3)
    mark_whole(tmp_path, 3)
    (path / lost).unlink()
    assert newest_whole(tmp_path) is None
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model.safetensors": 3}'])
def test_a_mark_that_does_not_fit_is_none(tmp_path: Path, content: str) -> None:
    path = checkpoint(tmp_path, 3)
    (path / MARK).write_text(content)
    assert newest_whole(tmp_path) is None


DIES_WHILE_DELETING = """
import os, shutil, signal, sys
from pathlib import Path

def half(path, **_):
    for file in sorted(Path(path).glob("*")):
        if file.suffix == ".safetensors":
            file.unlink()
    os.kill(os.getpid(), signal.SIGKILL)

from selfguide.training.checkpoints import remove_all
shutil.rmtree = half
remove_all(Path(sys.argv[1]))
"""


def test_killed_while_its_checkpoints_are_deleted_it_still_ends_in_the_same_bytes(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    config, rows = run_config(tiny, save_every_s=1e-9), copy_rows(tokenizer, 16)
    whole = finetune(config, tokenizer, rows, tmp_path / "whole", 3)
    work = tmp_path / "cut"
    call(train, TrainingJob(config, tokenizer, rows, work, 3))
    killed = subprocess.run([sys.executable, "-c", DIES_WHILE_DELETING, str(work)], timeout=400)
    assert killed.returncode == -signal.SIGKILL
    assert list(work.glob("checkpoint-*")), "it died with a half-deleted checkpoint"
    again = finetune(config, tokenizer, rows, work, 3)
    assert again.losses == whole.losses
    for ours, theirs in zip(again.epoch_dirs, whole.epoch_dirs, strict=True):
        name = "adapter_model.safetensors"
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    shutil.rmtree(work)


def test_damaged_losses_of_a_killed_training_are_cut_off(tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    tokenizer = load_prompt_tokenizer(model_config(tiny))
    config, rows = run_config(tiny), copy_rows(tokenizer, 4)
    work = tmp_path / "work"
    whole = finetune(config, tokenizer, rows, work, 3)
    written = (work / "losses.jsonl").read_bytes()
    (work / "losses.jsonl").write_bytes(b'{"loss": null}\n\xff\xfe' + bytes(20))
    assert finetune(config, tokenizer, rows, work, 3).losses == whole.losses
    assert (work / "losses.jsonl").read_bytes() == written

"""`store.keep`, and a run after the collection of garbage: the same files, to the byte."""

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.pipeline import run
from selfguide.store.garbage import collect
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

FILES = ("dataset.jsonl", "predictions.jsonl", "candidates.jsonl", "adapter/adapter_model.safetensors")


def made(folder: Path, name: str, *overrides: str, store: str = "store") -> dict[str, bytes]:
    task = folder / "color.json" if (folder / "color.json").exists() else write_task(folder)
    config = run_config(*smoke(task, folder / store, *overrides))
    run(config, folder / name, Terminal(Console(file=io.StringIO())))
    return {file: (folder / name / file).read_bytes() for file in FILES}


def weights(folder: Path, name: str) -> dict[str, list[str]]:
    """The epochs whose weights are in the store, for each training of a run."""
    content = json.loads((folder / name / "result.json").read_text())
    roles = {role: folder / "store" / key for role, key in content["keys"].items() if key.startswith("training/")}
    return {
        role: [path.parent.name for path in sorted(stage.glob("epoch-*/*.safetensors"))]
        for role, stage in roles.items()
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("kept")
    inner = ("annotation.annotator=few_shot_finetuned", "evaluation.controls=false", "evaluation.limit=5")
    return folder, made(folder, "first", "store.keep=evaluated", "finetuning.epochs=1", *inner)


def test_only_what_was_evaluated_stays(first: tuple[Path, dict[str, bytes]]) -> None:
    assert weights(first[0], "first") == {"annotator": [], "training": ["epoch-1"]}


def test_what_was_released_is_trained_again_where_it_is_needed(first: tuple[Path, dict[str, bytes]]) -> None:
    folder, files = first
    inner = ("annotation.annotator=few_shot_finetuned", "evaluation.controls=false", "evaluation.limit=5")
    again = made(folder, "again", "store.keep=evaluated", "finetuning.epochs=1", *inner)
    assert again == files
    assert set(json.loads((folder / "again" / "result.json").read_text())["cache"].values()) == {"hit"}
    other = made(folder, "other", "store.keep=evaluated", "finetuning.epochs=2", *inner)
    fresh = made(folder, "fresh", "store.keep=all", "finetuning.epochs=2", *inner, store="fresh_store")
    assert other == fresh and other != files
    assert weights(folder, "other") == {"annotator": [], "training": ["epoch-2"]}, "another data set"


def test_a_run_after_the_collection_of_garbage_gives_the_same_files(tmp_path: Path) -> None:
    overrides = ("store.keep=evaluated", "evaluation.controls=false", "evaluation.limit=5")
    made(tmp_path, "run", *overrides, "finetuning.epochs=1")
    files = made(tmp_path, "run", *overrides)
    assert weights(tmp_path, "run")["training"] == ["epoch-1", "epoch-2"], "an earlier run evaluated the first"
    assert not list(collect(tmp_path / "store", [])), "the run folder is there"
    shutil.rmtree(tmp_path / "run")
    assert list(collect(tmp_path / "store", []))
    assert not list((tmp_path / "store").glob("*/*/manifest.json"))
    assert made(tmp_path, "run", *overrides) == files

"""The whole run, with the bundled model, and what it leaves behind."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.numpy import load_file

from selfguide.core.console import Terminal
from selfguide.core.files import read_jsonl
from selfguide.pipeline import RunResult, run
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

ROOT = Path(__file__).parents[1]


def started(folder: Path, name: str, *overrides: str, engine: ScriptedEngine | None = None) -> tuple[RunResult, str]:
    said = io.StringIO()
    config = run_config(*overrides)
    result = run(config, folder / name, Terminal(Console(file=said, width=200)), engine)
    return result, said.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult, str]:
    folder = tmp_path_factory.mktemp("run")
    task = write_task(folder)
    result, said = started(folder, "first", *smoke(task, folder / "store"))
    return folder, result, said


def test_the_contract_of_a_run_folder(finished: tuple[Path, RunResult, str]) -> None:
    folder = finished[0] / "first"
    content = json.loads((folder / "result.json").read_text())
    for key in (
        "status", "task", "family", "method", "model", "model_identity", "engine", "seed", "split", "metric",
        "baseline", "score", "gain", "controls", "counts", "drops", "seconds", "tokens", "cache", "keys", "versions",
        "git",
    ):  # fmt: skip
        assert key in content, key
    assert content["status"] == "ok"
    instances = content["instances"]
    assert (instances["published"], instances["dropped_as_demonstrations"]) == (13, 0), "half of 27"
    for score in (content["score"], content["baseline"], content["controls"]["few_shot_finetune"]):
        assert 0 <= score["ci_low"] <= score["value"] <= score["ci_high"] <= 1
        assert score["n"] == instances["evaluated"] == instances["published"] - instances["dropped_as_demonstrations"]
    assert content["gain"]["value"] == pytest.approx(content["score"]["value"] - content["baseline"]["value"])
    assert set(content["floors"]) == {"copy_input", "copy_demonstration"}
    candidates = list(read_jsonl(folder / "candidates.jsonl"))
    dataset = list(read_jsonl(folder / "dataset.jsonl"))
    predictions = list(read_jsonl(folder / "predictions.jsonl"))
    counts = content["counts"]
    assert counts["proposed"] == len(candidates) == 16
    assert counts["train"] == len(dataset) == sum(c["dropped"] is None for c in candidates)
    dropped = sum(content["drops"]["inputs"].values()) + sum(content["drops"]["outputs"].values())
    assert dropped == sum(c["dropped"] is not None for c in candidates)
    assert len(predictions) == content["score"]["n"]
    assert {"id", "input", "references", "baseline", "tuned", "baseline_score", "tuned_score"} <= set(predictions[0])
    assert set(content["cache"].values()) == {"miss"}
    assert all(tokens["prompt"] > 0 for tokens in content["tokens"].values())


def test_every_key_of_its_files_is_documented(finished: tuple[Path, RunResult, str]) -> None:
    folder = finished[0] / "first"
    page = (ROOT / "docs/reference/run_folder.md").read_text(encoding="utf-8")
    keys = set(json.loads((folder / "result.json").read_text()))
    for name in ("candidates", "dataset", "predictions"):
        keys |= set(next(read_jsonl(folder / f"{name}.jsonl")))
    assert not [key for key in sorted(keys) if f"`{key}`" not in page]


def test_the_adapter_is_plain_peft(finished: tuple[Path, RunResult, str]) -> None:
    adapter = finished[0] / "first" / "adapter"
    weights = load_file(adapter / "adapter_model.safetensors")
    assert any("lora_B" in name and array.any() for name, array in weights.items())
    assert json.loads((adapter / "adapter_config.json").read_text())["peft_type"] == "LORA"


def test_the_terminal_says_what_was_learned(finished: tuple[Path, RunResult, str]) -> None:
    said = finished[2]
    for piece in (
        "few-shot ICL (base model)", "few_shot_finetune (control)", "floor: copy input",
        "points", "files:", "reason",
    ):  # fmt: skip
        assert piece in said, piece


def test_a_second_run_computes_nothing_and_says_so(finished: tuple[Path, RunResult, str]) -> None:
    folder = finished[0]
    again, said = started(folder, "again", *smoke(folder / "color.json", folder / "store"))
    assert "every stage was found in the store" in said
    assert (folder / "again" / "dataset.jsonl").read_bytes() == (folder / "first" / "dataset.jsonl").read_bytes()
    assert (again.score, again.baseline) == (finished[1].score, finished[1].baseline)


def test_a_vote_threshold_changes_without_a_model_call(finished: tuple[Path, RunResult, str]) -> None:
    folder = finished[0]
    arguments = smoke(folder / "color.json", folder / "store", "annotation.min_share=0.9", "finetuning=none")
    started(folder, "strict", *arguments)
    cache = json.loads((folder / "strict" / "result.json").read_text())["cache"]
    assert (cache["inputs"], cache["outputs"], cache["dataset"]) == ("hit", "hit", "miss")


def test_an_annotator_is_finetuned_once_and_its_answers_vote(finished: tuple[Path, RunResult, str]) -> None:
    folder, _, _ = finished
    overrides = [*smoke(folder / "color.json", folder / "store"), "annotation.annotator=few_shot_finetuned"]
    started(folder, "annotator", *overrides)
    first, content = (json.loads((folder / name / "result.json").read_text()) for name in ("first", "annotator"))
    assert content["keys"]["annotator"] == content["keys"]["few_shot_finetune"] == first["keys"]["few_shot_finetune"]
    assert content["keys"]["inputs"] == first["keys"]["inputs"]
    assert content["keys"]["outputs"] != first["keys"]["outputs"]
    assert content["cache"]["annotator"] == "hit"
    seconds = dict(content["seconds"])
    total = seconds.pop("total")
    assert total == pytest.approx(sum(seconds.values()) - seconds["annotator"], abs=0.01), "one training, counted once"
    costs = [one["costs"]["method"]["trained_tokens"] for one in (first, content)]
    assert costs[1] > costs[0], "its training is part of what the method costs"
    # The control has learned from three examples to answer with a word; the base model has not.
    samples = [
        [sample["text"] for row in read_jsonl(folder / name / "candidates.jsonl") for sample in row["samples"]]
        for name in ("first", "annotator")
    ]
    assert samples[0] != samples[1]


def test_another_epoch_is_no_new_training(finished: tuple[Path, RunResult, str]) -> None:
    folder = finished[0]
    started(folder, "epoch", *smoke(folder / "color.json", folder / "store", "finetuning.epochs=1"))
    cache = json.loads((folder / "epoch" / "result.json").read_text())["cache"]
    assert (cache["training"], cache["few_shot_finetune"], cache["tuned"]) == ("hit", "hit", "miss")


def test_an_empty_data_set_scores_as_the_base_model_and_is_loud(tmp_path: Path) -> None:
    task = write_task(tmp_path, classification=True)
    arguments = smoke(task, tmp_path / "store", "filters.input_length=on", "filters.length_sigmas=0.001")
    arguments += ["filters.length_floor=0", "filters.length_fallback=0.0001"]
    result, said = started(tmp_path, "run", *arguments)
    content = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result.status, content["status"]) == ("empty_dataset", "empty_dataset")
    assert content["score"] == content["baseline"]
    assert "EMPTY" in said
    assert (tmp_path / "run" / "dataset.jsonl").read_text() == ""


def test_methods_without_synthesis(tmp_path: Path) -> None:
    task = write_task(tmp_path)
    icl, _ = started(tmp_path, "icl", *smoke(task, tmp_path / "store", "method=few_shot_icl"))
    assert icl.score == icl.baseline
    started(tmp_path, "control", *smoke(task, tmp_path / "store", "method=few_shot_finetune"))
    content = json.loads((tmp_path / "control" / "result.json").read_text())
    assert (content["method"], content["controls"], content["counts"]["train"]) == ("few_shot_finetune", {}, 3)
    assert "training" not in content["keys"]

"""What is handed on can be loaded by others, says what it is, and says nothing it should not."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from selfguide.analysis.folder import RunFolder
from selfguide.apps.export.cards import cell, fenced
from selfguide.apps.export.dataset import export_dataset
from selfguide.apps.export.weights import export_weights
from selfguide.core.errors import DataError
from tests import cli
from tests.analysis.folders import write_run
from tests.export.runs import run_with_adapter

HOSTILE = ("```\n# not a heading\n```` |x| <b>", "---\nlicense: evil\n---")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Path]:
    folder = tmp_path_factory.mktemp("export")
    run = RunFolder.open(run_with_adapter(folder))
    target = folder / "out"
    export_dataset(run, target / "dataset", "apache-2.0")
    export_weights(run, run.config.model, target, "adapter")
    export_weights(run, run.config.model, target, "merged")
    return run, target


def front_matter(file: Path) -> dict[str, Any]:
    _, head, _ = file.read_text().split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_datasets_loads_the_folder(exported: tuple[RunFolder, Path], tmp_path: Path) -> None:
    from datasets import load_dataset

    run, target = exported
    rows = load_dataset(str(target / "dataset"), split="train", cache_dir=str(tmp_path))
    assert [(row["input"], row["output"]) for row in rows] == [(pair.input, pair.output) for pair in run.pairs]
    candidates = load_dataset(str(target / "dataset"), "candidates", split="train", cache_dir=str(tmp_path))
    assert [row["dropped"] or None for row in candidates] == [c.dropped for c in run.candidates]
    assert candidates[0]["answers"] == [sample.text for sample in run.candidates[0].samples]


def test_the_dataset_card_tells_how_it_was_made(exported: tuple[RunFolder, Path]) -> None:
    run, target = exported
    text = (target / "dataset" / "README.md").read_text()
    front = front_matter(target / "dataset" / "README.md")
    assert front["license"] == "apache-2.0"
    assert front["configs"][0]["data_files"][0]["path"] == "train.jsonl"
    assert run.task.instruction in text
    assert all(demonstration.input in text for demonstration in run.task.demonstrations)
    drops = {**run.result["drops"]["inputs"], **run.result["drops"]["outputs"]}
    assert drops and all(f"| {reason} | {count} |" in text for reason, count in drops.items())
    for section in ("Licence", "Limits", "What was dropped", "How it was made", "Made by"):
        assert f"## {section}" in text


def test_the_hub_library_reads_both_cards(exported: tuple[RunFolder, Path]) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    _, target = exported
    assert DatasetCard.load(target / "dataset" / "README.md").data.tags == ["synthetic", "self-guide", "task-a"]
    card = ModelCard.load(target / "adapter" / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag) == ("peft", "text-generation")


def test_the_model_card_has_scores_intervals_protocol_and_lock(exported: tuple[RunFolder, Path]) -> None:
    run, target = exported
    text = (target / "adapter" / "README.md").read_text()
    score = run.result["score"]
    assert f"| **this model** | **{100 * score['value']:.1f}** | {100 * score['ci_low']:.1f}" in text
    assert "Protocol: default" in text
    assert "not frozen" in text


def test_adapter_and_merged_weights_answer_alike_and_load_offline(exported: tuple[RunFolder, Path]) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run, target = exported
    base = AutoModelForCausalLM.from_pretrained(run.config.model.path, dtype=torch.float32)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, str(target / "adapter")).eval()(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(target / "model", dtype=torch.float32)(ids).logits
    assert not torch.allclose(plain, adapted, atol=1e-3)
    assert torch.allclose(adapted, merged, atol=1e-4)
    assert AutoTokenizer.from_pretrained(target / "model").eos_token == "</s>"


def test_no_path_of_this_machine_and_no_gold_leave(exported: tuple[RunFolder, Path]) -> None:
    run, target = exported
    for file in (*(target / "dataset").iterdir(), *(target / "adapter").iterdir()):
        content = file.read_bytes()
        command = (run.details["command"] or "").encode()
        assert str(run.path.parent).encode() not in content.replace(command, b""), file
        assert b"gold1 " not in content, file


def test_a_models_text_cannot_leave_its_block(tmp_path: Path) -> None:
    run = RunFolder.open(write_run(tmp_path / "run", classification=False, texts=HOSTILE, proposals=40, instances=10))
    folder = export_dataset(run, tmp_path / "out")
    assert "license" not in front_matter(folder / "README.md")
    text = (folder / "README.md").read_text()
    table = text.split("## Demonstrations")[1].split("## Fields")[0].strip().splitlines()
    assert len(table) == 2 + len(run.task.demonstrations)
    assert all(line.count("|") == 3 for line in table)
    assert fenced("a ```` b").startswith("`````text")
    assert cell("a|b\n<c>") == "a&#124;b &lt;c&gt;"


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    run = RunFolder.open(write_run(tmp_path / "run", "method=few_shot_icl", proposals=0, instances=10))
    with pytest.raises(DataError, match="made no training pairs"):
        export_dataset(run, tmp_path / "out")
    with pytest.raises(DataError, match="no finetuned weights"):
        export_weights(run, run.config.model, tmp_path / "out", "adapter")


def test_the_command_and_its_mistakes(exported: tuple[RunFolder, Path], tmp_path: Path) -> None:
    run, _ = exported

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        return cli.run("selfguide.main", "export", *arguments, cwd=tmp_path)

    done = called(f"run={run.path}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())["r"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    again = called(f"run={run.path}", f"to={tmp_path / 'out'}", "weights=none")
    assert again.returncode == 0, again.stderr
    for arguments, said in (
        ([f"to={tmp_path}"], "run: has no value"),
        ([f"run={run.path}", f"to={run.path}", "dataset=false"], "is the run itself"),
        (["run=nowhere", "to=out"], "no finished run there"),
        ([f"run={run.path}", "to=out", "weights=all"], "allowed: adapter | merged | none"),
    ):
        failed = called(*arguments)
        assert (failed.returncode, said in failed.stderr) == (2, True), failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1

"""What a model was trained on goes with it: a run that is scored on any of it says so."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.analysis.folder import RunFolder
from selfguide.apps.export.weights import export_weights
from selfguide.core.console import Terminal
from selfguide.core.errors import DataError
from selfguide.core.types import Instance
from selfguide.pipeline import run
from selfguide.tasks.provenance import FILE, Provenance
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

GOLD = ("method=gold_finetune", "data.validation_fraction=0.7", "evaluation.controls=false", "finetuning.max_epochs=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gold")
    more = (*GOLD, "finetuning.epochs=1")
    run(run_config(*smoke(write_task(folder, classification=True), folder / "store", *more)), folder / "run", quiet())
    return folder


def quiet() -> Terminal:
    return Terminal(Console(file=io.StringIO()))


def scored_with(model: Path, folder: Path, task: Path, *overrides: str) -> tuple[dict[str, Any], str]:
    """Result and printed lines of a run of that model on that task."""
    local = ("model=local", f"model.path={model}", "model.prompt_format=plain", "method=zero_shot", *overrides)
    said = io.StringIO()
    run(run_config(*smoke(task, folder / "store", *local)), folder / "run", Terminal(Console(file=said, width=300)))
    return json.loads((folder / "run" / "result.json").read_text()), said.getvalue()


def test_a_run_that_trained_on_gold_writes_what_it_saw(trained: Path) -> None:
    result = json.loads((trained / "run" / "result.json").read_text())
    assert result["claims_gold"] and result["seen_instances"] == 0, "its own pool is never scored on"
    said = json.loads((trained / "run" / "adapter" / FILE).read_text())
    assert said["claims_gold"] and said["tasks"] == ["shade"]
    assert len(said["instances"]) >= 18 + 3 and "Tom" not in json.dumps(said)
    assert RunFolder.open(trained / "run").details["provenance"] == said


def test_an_exported_model_is_known_where_it_is_scored(trained: Path, tmp_path: Path) -> None:
    opened = RunFolder.open(trained / "run")
    model = export_weights(opened, opened.config.model, tmp_path / "out", "merged")
    adapter = export_weights(opened, opened.config.model, tmp_path / "out", "adapter")
    assert (model / FILE).read_text() == (adapter / FILE).read_text()
    result, said = scored_with(model, tmp_path / "again", trained / "shade.json")
    rows = [json.loads(line) for line in (tmp_path / "again" / "run" / "predictions.jsonl").read_text().splitlines()]
    seen = Provenance.from_json(json.loads((model / FILE).read_text()), "").count(
        Instance(row["id"], row["input"], ()) for row in rows
    )
    assert result["claims_gold"] and 0 < result["seen_instances"] == seen < len(rows)
    assert f"not a test: {seen} of the {len(rows)} instances" in said and "[SEEN]" in said
    assert "Not a test." in (tmp_path / "again" / "run" / "report.html").read_text()
    other, said = scored_with(model, tmp_path / "other", write_task(tmp_path))
    assert other["seen_instances"] > 0, "the same inputs under another name and other outputs"


def test_a_model_without_such_a_file_says_nothing(trained: Path, tmp_path: Path) -> None:
    opened = RunFolder.open(trained / "run")
    model = export_weights(opened, opened.config.model, tmp_path / "out", "merged")
    (model / FILE).unlink()
    result, said = scored_with(model, tmp_path / "again", trained / "shade.json")
    assert not result["claims_gold"] and result["seen_instances"] == 0 and "not a test" not in said
    (model / FILE).write_text('{"tasks": 3}')
    with pytest.raises(DataError, match="does not say what it was trained on") as error:
        scored_with(model, tmp_path / "broken", trained / "shade.json")
    assert "\n" not in str(error.value)


def test_provenance_is_inherited_and_white_space_does_not_count() -> None:
    one, two = Provenance.of("a", ["x  y\n"], False), Provenance.of("b", ["z"], True)
    joined = one.joined(two)
    assert (joined.claims_gold, joined.tasks) == (True, {"a", "b"})
    assert joined.count([Instance("1", " x y", ()), Instance("2", "z", ()), Instance("3", "w", ())]) == 2
    assert Provenance.from_json(joined.to_json(), "") == joined

"""A real dataset folder, read by the real library."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfguide.config.schema import HubConfig, TaskConfig
from selfguide.data.load import load_task
from selfguide.errors import ConfigError, DataError
from tests.data.configs import data_config

datasets = pytest.importorskip("datasets")
SHOTS = [{"input": "Premise: p Hypothesis: h", "output": "entailment"}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"premise": f"p{i}", "hypothesis": f"h{i}", "label": i % 2, "key": f"k{i}"} for i in range(30)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "data"


def hub_task(path: Path, **changes: Any) -> TaskConfig:
    hub = HubConfig(
        path=str(path),
        split="train",
        input_template="Premise: {premise} Hypothesis: {hypothesis}",
        output_column="label",
        output_names={"0": "entailment", "1": "not_entailment"},
        id_column="key",
    )
    for key, value in changes.pop("hub", {}).items():
        setattr(hub, key, value)
    return TaskConfig(
        **{"name": "rte", "source": "hub", "instruction": "Say.", "demonstrations": SHOTS, "hub": hub} | changes
    )


def test_columns_are_mapped(folder: Path) -> None:
    spec, gold = load_task(hub_task(folder), data_config(), 0)
    assert (spec.family, spec.labels) == ("classification", ("entailment", "not_entailment"))
    rows = {row.id: row for row in gold.open("test")}
    assert len(rows) == 27
    key = next(iter(rows))
    assert rows[key].input == f"Premise: p{key[1:]} Hypothesis: h{key[1:]}"
    assert rows[key].references == (("entailment", "not_entailment")[int(key[1:]) % 2],)


def test_class_names_of_the_dataset_serve_as_labels(tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "y": datasets.ClassLabel(names=["bad", "good"])})
    rows = {"text": [f"t{i}" for i in range(20)], "y": [i % 2 for i in range(20)]}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)}).save_to_disk(
        tmp_path / "saved"
    )
    mapping = {"input_template": "{text}", "output_column": "y", "output_names": {}, "id_column": None}
    task = hub_task(tmp_path / "saved", hub=mapping, demonstrations=[{"input": "a", "output": "good"}])
    assert load_task(task, data_config(), 0)[0].labels == ("good", "bad")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hub": {"path": None}}, r"task\.hub\.path: required"),
        ({"instruction": None}, r"task\.instruction: required"),
        ({"demonstrations": None}, r"task\.demonstrations: required"),
        ({"hub": {"input_template": "{nope}"}}, r"task\.hub\.input_template: .* has no column 'nope' \(columns: "),
        ({"hub": {"input_template": "{nope"}}, "is not a valid template"),
        ({"hub": {"input_template": "plain"}}, "must name columns in braces"),
        ({"hub": {"output_column": "nope"}}, r"task\.hub\.output_column: .* has no column 'nope'"),
        ({"hub": {"id_column": "nope"}}, r"task\.hub\.id_column"),
        ({"hub": {"id_column": "label"}}, 'share the id "0"'),
        ({"hub": {"output_names": {"0": "a"}}}, r"row 1: output '1' is not in task\.hub\.output_names \(0\)"),
        ({"hub": {"split": "nope"}}, "cannot be loaded: ValueError"),
        ({"hub": {"path": "/nonexistent/folder"}}, "cannot be loaded"),
    ],
)
def test_mistakes(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message) as error:
        load_task(hub_task(folder, **changes), data_config(), 0)
    assert "\n" not in str(error.value)

"""A real dataset folder, read by the real library."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from selfguide.config.schema import HubConfig, TaskConfig
from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.tasks.configs import data_config

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
    assert load_task(task, data_config(), 0)[0].labels == ("bad", "good")


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    row = {
        "choices": ["x", "{y}"],
        "gold": {"text": ["one", "two"], "start": [1, 2]},
        "turns": [{"said": "hi"}, {"said": "ho"}],
        "a.b": "dot",
    }
    rows = [{**row, "key": f"k{i}"} for i in range(20)]
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "nested"


@pytest.mark.parametrize(
    ("template", "output", "text", "references"),
    [
        ("{choices.1}|{choices.0}", "gold.text", "{y}|x", ("one", "two")),
        ("{gold.start.1} {key!s:.1}", "gold.text.0", "2 k", ("one",)),
        ("{turns.1.said}", "turns.said", "ho", ("hi", "ho")),
        ("{a.b}", "a.b", "dot", ("dot",)),
    ],
)
def test_values_inside_columns(
    template: str, output: str, text: str, references: tuple[str, ...], nested: Path
) -> None:
    mapping = {"input_template": template, "output_column": output, "output_names": {}}
    _, gold = load_task(hub_task(nested, hub=mapping, family="generation"), data_config(), 0)
    (first, *_) = gold.open("test")
    assert (first.input, first.references) == (text, references)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"input_template": "{choices.7}"}, r"row 0: choices\.7: there is no '7' in choices"),
        ({"output_column": "gold.nope"}, r"row 0: gold\.nope: there is no 'nope' in gold"),
        ({"input_template": "{key.0.x}"}, "there is no '0' in key"),
        ({"input_template": "{nope.0}"}, r"task\.hub\.input_template: .* has no column 'nope'"),
        ({"input_template": "{choices[0]}"}, "must name columns in braces"),
        ({"output_column": "nope.text"}, r"task\.hub\.output_column: .* has no column 'nope'"),
    ],
)
def test_mistakes_inside_columns(mapping: dict[str, Any], message: str, nested: Path) -> None:
    hub = {"input_template": "{key}", "output_column": "key", "output_names": {}} | mapping
    with pytest.raises((ConfigError, DataError), match=message):
        load_task(hub_task(nested, hub=hub, family="generation"), data_config(), 0)


def test_the_marker_of_the_context_is_checked(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    shots = [{"input": "Premise: p Hypothesis: h", "output": "entailment"}]
    spec, _ = load_task(hub_task(folder, context_until=" Hypothesis:", demonstrations=shots), data_config(), 0)
    assert spec.context_until == " Hypothesis:"
    with pytest.raises(
        ConfigError, match=r"task\.context_until: ' Guess:' does not occur in the input of demonstration 0"
    ):
        load_task(hub_task(folder, context_until=" Guess:"), data_config(), 0)
    with pytest.raises(ConfigError, match=r"task\.context_until: ' Guess:' does not occur in any input"):
        other = [{"input": "p Guess: h", "output": "entailment"}]
        load_task(hub_task(folder, context_until=" Guess:", demonstrations=other), data_config(), 0)
    some = [{"input": "Premise: p1 Hypothesis: h", "output": "entailment"}]
    with caplog.at_level("WARNING"):
        load_task(hub_task(folder, context_until="1 Hypothesis:", demonstrations=some), data_config(), 0)
    assert "27 instances have no context" in caplog.text


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


@pytest.fixture(params=["saved", "files"])
def two_splits(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """50 rows to train on and 20 to test on, numbered from 0 in both; one test input is in both, but for a space."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {
        name: [{"premise": f"{name} {i}", "hypothesis": "h", "label": i % 2, "key": f"k{i}"} for i in range(count)]
        for name, count in (("train", 50), ("validation", 20))
    }
    rows["train"][7] |= {"premise": "validation  3", "label": 0}
    rows["train"][8] |= {"premise": "p"}
    if request.param == "saved":
        made = {name: datasets.Dataset.from_list(content) for name, content in rows.items()}
        datasets.DatasetDict(made).save_to_disk(tmp_path / "data")
    else:
        (tmp_path / "data").mkdir()
        for name, content in rows.items():
            (tmp_path / "data" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, content)))
    return tmp_path / "data"


BOTH = {"split": "validation", "train_split": "train"}


def test_published_splits_are_used_in_full(two_splits: Path) -> None:
    spec, gold = load_task(hub_task(two_splits, hub=BOTH), data_config(), 0)
    assert spec.labels == ("entailment", "not_entailment")
    train, test = gold.open("validation"), gold.open("test")
    assert (gold.counts("validation").published, gold.counts("validation").dropped) == (50, 1)
    assert (gold.counts("test").published, len(test)) == (20, 20)
    assert {row.id for row in test} == {f"k{i}" for i in range(20)}
    assert {row.id for row in train} == {f"train-k{i}" for i in range(50) if i != 8}, "a demonstration is in no split"
    pool = gold.pool(test[:5])
    assert {row.id for row in train} - {row.id for row in pool} == {"train-k7"}, "its input is a test input"
    assert not {" ".join(row.input.split()) for row in pool} & {row.input for row in test}
    scored = gold.pool(train[:10])
    assert not {row.input for row in scored} & {row.input for row in train[:10]} and len(scored) in (38, 39)


def test_a_published_split_is_the_same_whatever_the_training_split(two_splits: Path) -> None:
    _, both = load_task(hub_task(two_splits, hub=BOTH), data_config(), 0)
    _, again = load_task(hub_task(two_splits, hub=BOTH), data_config(validation_fraction=0.5), 1)
    for split in ("validation", "test"):
        assert both.hash(split) == again.hash(split)  # type: ignore[arg-type]
    _, alone = load_task(hub_task(two_splits, hub={"split": "validation"}), data_config(), 0)
    assert alone.count("test") == 18, "without one the rows are split again"
    _, reseeded = load_task(hub_task(two_splits, hub=BOTH), data_config(split_seed=1), 0)
    assert reseeded.hash("test") != both.hash("test"), "in another order"
    assert set(reseeded.open("test")) == set(both.open("test"))


def test_a_folder_with_one_split_has_no_training_split(tmp_path: Path) -> None:
    rows = {"premise": ["a"] * 9, "hypothesis": ["b"] * 9, "label": [0] * 9, "key": [str(i) for i in range(9)]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "one")
    with pytest.raises(DataError, match=r"holds only one split; set task\.hub\.train_split=null"):
        load_task(hub_task(tmp_path / "one", hub=BOTH), data_config(), 0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["evaluation.split=validation"], r"evaluation\.limit: null is not allowed; allowed: >= 1"),
        (["data.split=ids", "data.split_path=x"], r"data\.split: ids is not allowed; allowed: seeded"),
        (["task.hub.train_split=validation"], r"task\.hub\.train_split: validation is not allowed"),
    ],
)
def test_what_does_not_fit_a_training_split(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config("task=rte", *overrides)


def test_what_fits_a_training_split() -> None:
    limited = run_config("task=rte", "evaluation.split=validation", "evaluation.limit=500")
    assert limited.task.hub.train_split == "train"
    run_config("task=rte", "task.hub.train_split=null", "evaluation.split=validation")

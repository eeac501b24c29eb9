import json
import logging
from pathlib import Path
from typing import Any

import pytest

from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.declared_labels import check_labels
from selfguide.tasks.load import load_task
from tests.shared_data import shared
from tests.tasks.configs import data_config, json_task, sni_task


def write(folder: Path, rows: list[tuple[str, Any]], examples: list[tuple[str, str]]) -> Path:
    document = {
        "instruction": "Answer.",
        "examples": [{"input": text, "output": output} for text, output in examples],
        "instances": [{"input": text, "output": output} for text, output in rows],
    }
    path = folder / "mine.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def classification(tmp_path: Path) -> Path:
    rows = [(f"input {i}", "yes" if i % 2 else "no") for i in range(40)]
    return write(tmp_path, [*rows, (" shown \n", "yes")], [("shown", "yes"), ("other", "no")])


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    return write(tmp_path, [(f"input {i}", f"output {i}") for i in range(40)], [(f"demo {i}", "x") for i in range(9)])


def test_family_and_labels_are_inferred_and_told(classification: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        spec, gold = load_task(json_task(classification), data_config(), 0)
    assert (spec.family, spec.labels, spec.metric) == ("classification", ("yes", "no"), "exact_match")
    assert sum(gold.counts(split).dropped for split in ("validation", "test")) == 1
    assert "labels inferred from the demonstrations: yes, no" in caplog.text


def test_a_label_of_gold_alone_is_not_inferred(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(f"input {i}", ("yes", "no", "sarcastic")[i % 3]) for i in range(60)]
    path = write(tmp_path, rows, [("a", "yes"), ("b", "no")])
    spec, _ = load_task(json_task(path), data_config(), 0)
    assert spec.labels == ("yes", "no")
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "20 of 60 instances" in line and "'sarcastic'" in line and "task.labels" in line and "\n" not in line
    spec, _ = load_task(json_task(path, labels=["yes", "no", "sarcastic"]), data_config(), 0)
    assert spec.labels == ("yes", "no", "sarcastic"), "the user's word"


def test_demonstrations_of_one_label_ask_for_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, [(f"input {i}", "yes" if i % 2 else "no") for i in range(40)], [("a", "yes")])
    with pytest.raises(DataError, match=r"demonstrations show only the label 'yes'; list all labels in task\.labels"):
        load_task(json_task(path), data_config(), 0)


def readme_task() -> dict[str, Any]:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    document: dict[str, Any] = json.loads(text.split("```json\n")[1].split("```")[0])
    return document


def test_the_readmes_task_is_a_classification_task(tmp_path: Path) -> None:
    path = tmp_path / "reviews.json"
    path.write_text(json.dumps(readme_task()))
    spec, gold = load_task(json_task(path), data_config(), 0)
    assert (spec.family, spec.labels, spec.metric) == ("classification", ("positive", "negative"), "exact_match")
    assert gold.count("test") == 1
    spec, _ = load_task(json_task(path, labels=["negative", "positive", "mixed"]), data_config(), 0)
    assert spec.labels == ("negative", "positive", "mixed"), "the configuration's come before the file's"
    spec, _ = load_task(json_task(path, family="generation"), data_config(), 0)
    assert (spec.family, spec.labels) == ("generation", ())


def test_generation(generation: Path) -> None:
    spec, gold = load_task(json_task(generation, noise_terms=["hm"]), data_config(), 0)
    assert (spec.name, spec.family, spec.labels, spec.metric) == ("mine", "generation", (), "rouge_l")
    assert spec.noise_terms == ("hm",)
    assert (gold.count("validation"), gold.count("test")) == (4, 36)


def test_choice_of_demonstrations_does_not_change_the_gold(generation: Path) -> None:
    def load(seed: int = 0, **changes: Any) -> tuple[list[str], str]:
        spec, gold = load_task(json_task(generation, **changes), data_config(), seed)
        return [demonstration.input for demonstration in spec.demonstrations], gold.hash("test")

    everything, gold_hash = load()
    assert len(everything) == 9
    assert load(num_demonstrations=2) == (["demo 0", "demo 1"], gold_hash)
    chosen = load(num_demonstrations=3, demonstration_choice="seeded")
    assert chosen == load(num_demonstrations=3, demonstration_choice="seeded")
    assert chosen[0] != load(seed=1, num_demonstrations=3, demonstration_choice="seeded")[0]
    assert chosen[1] == gold_hash


def test_the_configuration_overrides_the_file(generation: Path) -> None:
    shots = [{"input": "input 3", "output": "mine"}]
    spec, gold = load_task(json_task(generation, instruction="Other.", demonstrations=shots), data_config(), 0)
    assert (spec.instruction, [d.output for d in spec.demonstrations]) == ("Other.", ["mine"])
    assert gold.count("validation") + gold.count("test") == 39


def test_labels_are_normalised_and_demonstrations_follow(classification: Path) -> None:
    task = json_task(classification, labels=[" Yes", "No ", "maybe"])
    spec, _ = load_task(task, data_config(), 0)
    assert spec.labels == ("Yes", "No", "maybe")
    assert [demonstration.output for demonstration in spec.demonstrations] == ["Yes", "No"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["a", "b"]}, r"demonstration 0 has the output 'yes', not in task\.labels \(a, b\)"),
        ({"num_demonstrations": 3}, r"task\.num_demonstrations: 3, but .* has 2"),
        ({"demonstrations": []}, "has no demonstrations"),
        ({"demonstrations": [{"input": "a"}]}, r'task\.demonstrations\[0\]: has no "output"'),
        ({"family": "generation", "metric": "accuracy"}, r"task\.metric: accuracy needs labels"),
    ],
)
def test_mistakes(classification: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message) as error:
        load_task(json_task(classification, **changes), data_config(), 0)
    assert "\n" not in str(error.value)


def test_labels_that_never_occur(tmp_path: Path) -> None:
    path = write(tmp_path, [(f"i{i}", "x") for i in range(9)], [("a", "yes")])
    with pytest.raises(DataError, match=r"no output is one of task\.labels \(yes, no\)"):
        load_task(json_task(path, labels=["yes", "no"]), data_config(), 0)
    with pytest.raises(DataError, match=r"show only the label 'x'"):
        load_task(
            json_task(path, family="classification", demonstrations=[{"input": "q", "output": "x"}]), data_config(), 0
        )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([True, False], r"holds the YAML boolean true \(an unquoted yes, true or on\); quote every label"),
        (["yes", False], r"YAML boolean false \(an unquoted no, false or off\)"),
        ([1, 2], "holds the YAML int 1; quote every label"),
        ([None, "x"], "holds the YAML null"),
        (["a", " a "], "'a' is listed twice"),
        (["a", " "], "one of the labels is empty"),
        (["a"], "at least two labels"),
    ],
)
def test_labels_are_checked_without_data(labels: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_labels(json_task(Path("nowhere"), labels=labels))


def test_labels_of_generation() -> None:
    with pytest.raises(ConfigError, match=r"task\.family is generation"):
        check_labels(json_task(Path("nowhere"), labels=["a", "b"], family="generation"))
    assert check_labels(json_task(Path("nowhere"))) is None


def test_sni_ids(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.id: required"):
        load_task(sni_task(""), data_config(), 0)
    for bad in ("190", "task", "../task190", "task190/../x"):
        with pytest.raises(DataError, match="is not a Super-NaturalInstructions id"):
            load_task(sni_task(bad), data_config(root=str(tmp_path)), 0)
    with pytest.raises(DataError, match=r"has no task190_\*\.json; set data\.root=null"):
        load_task(sni_task("task190"), data_config(root=str(tmp_path)), 0)
    (tmp_path / "task119_a.json").write_text("{}")
    (tmp_path / "task119_b.json").write_text("{}")
    with pytest.raises(DataError, match=r"several files for task119 \(task119_a\.json, task119_b\.json\)"):
        load_task(sni_task("task119"), data_config(root=str(tmp_path)), 0)
    with pytest.raises(DataError, match='has no "Definition"'):
        load_task(sni_task("task119_b"), data_config(root=str(tmp_path)), 0)


def test_a_changed_task_file_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = {
        "Definition": ["Do."],
        "Positive Examples": [{"input": "a", "output": "b"}],
        "Instances": [{"input": f"i{i}", "output": [f"o{i}"]} for i in range(4)],
    }
    (tmp_path / "task190_mine.json").write_text(json.dumps(document))
    load_task(sni_task("task190"), data_config(root=str(tmp_path)), 0)
    assert "is not the published file" in caplog.text


def test_micro_lists_what_there_is() -> None:
    from selfguide.config.schema import TaskConfig

    with pytest.raises(ConfigError, match=r"task\.id: 'nope' is not a bundled task; choose one of"):
        load_task(TaskConfig(name="nope", source="micro", id="nope"), data_config(), 0)


MANIFEST = json.loads(path.read_text()) if (path := Path(__file__).parent / "published_counts.json").exists() else {}


@pytest.mark.parametrize("task_id", sorted(MANIFEST))
def test_published_counts(task_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """The splits of the published data, counted before demonstrations are dropped."""
    published = MANIFEST[task_id]
    data = data_config(root=str(shared("sni", "tasks")), split="ids", split_path=str(shared("sni", "reference_splits")))
    spec, gold = load_task(sni_task(task_id), data, 0)
    assert gold.counts("validation").published == published.get("validation", 0)
    assert gold.counts("test").published == published["test"]
    assert len(spec.demonstrations) == published["positive_examples"]
    assert gold.openings == []
    assert "is not the published file" not in caplog.text


PAPER = Path(__file__).parent.parent.parent / "conf" / "task"


@pytest.mark.parametrize("task_id", sorted(MANIFEST))
def test_inferred_family_and_labels_are_the_papers(task_id: str) -> None:
    from omegaconf import OmegaConf

    written = OmegaConf.load(PAPER / f"{task_id}.yaml")
    spec, _ = load_task(sni_task(task_id), data_config(root=str(shared("sni", "tasks"))), 0)
    assert spec.family == written.family
    assert sorted(spec.labels) == sorted(written.labels or [])
    assert spec.metric == written.metric

"""selfguide from Python: the same code as the commands, whatever Hydra the process has of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import hydra
import pandas
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hypothesis import given
from hypothesis import strategies as st

import selfguide
from selfguide.apps.given import _quoted, overrides_of
from selfguide.apps.result import Result
from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.load import load_task

INSTRUCTION = "Is the thing dark or light?"
SHOWN = [("Tom saw the red ball.", "light"), ("Tom saw the black hat.", "dark"), ("Tom saw the brown door.", "dark")]
ROWS = [
    {"input": f"Tom saw the {color} car.", "output": label}
    for color, label in (("blue", "dark"), ("white", "light"), ("green", "light"), ("black", "dark"))
]
SMALL = [
    "synthesis=smoke", "filters.input_length=off", "annotation.min_share=0.1", "annotation.annotator=base",
    "annotation.conditioning_label_weight=0", "evaluation.bootstrap=200", "finetuning.max_epochs=1",
    "finetuning.epochs=1", "finetuning.demonstration_copies=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def unmeasured(folder: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (result := selfguide.run(instruction=INSTRUCTION, examples=SHOWN, overrides=SMALL)).report.stat()
        return Result(result.folder.absolute())


def test_without_instances_there_is_a_model_and_no_score(
    unmeasured: Result, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (unmeasured.scores, unmeasured.gain, unmeasured.gains) == ({}, None, {})
    result = unmeasured.run.result
    assert (result["score"], result["baseline"], result["gain"], result["controls"]) == (None, None, None, {})
    assert "Nothing was measured" in unmeasured.report.read_text()
    assert "overlap with evaluation inputs" not in unmeasured.report.read_text()
    assert "nothing was measured" in (unmeasured._repr_html_())
    assert unmeasured.dataset.column_names == ["input", "output"]
    assert len(unmeasured.dataset) == result["counts"]["train"] > 0
    assert len(unmeasured.candidates) == result["counts"]["proposed"]
    monkeypatch.chdir(folder)
    with unmeasured.model() as model, model.peft() as tuned:
        assert type(tuned).__name__.startswith("Peft")
        answers = model.predict([row["input"] for row in ROWS])
        assert len(answers) == len(ROWS) == len(model.predict_base([row["input"] for row in ROWS]))
        assert INSTRUCTION in model.prompt("x").plain()
        with pytest.raises(TypeError, match="a list"):
            model.predict("one text")
    with pytest.raises(DataError, match="nothing was measured there"):
        selfguide.compare([unmeasured])


def test_the_command_of_a_run_from_python_makes_it_again(unmeasured: Result) -> None:
    command = unmeasured.run.details["command"]
    assert "task=json" in command and "task.path=" in command
    again = selfguide.compose(overrides=[], task="micro_color_word")
    assert again.task.name == "micro_color_word"


def test_with_instances_it_is_scored_and_compared_and_exported(
    unmeasured: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [*SMALL, f"store.root={unmeasured.folder.parents[1] / 'store'}", "data.validation_fraction=0.5"]
    overrides.append("+hydra.callbacks.profile._target_=selfguide.apps.callbacks.Profile")  # as debug=profile has it
    result = selfguide.run(
        instruction=INSTRUCTION, examples=SHOWN, instances=pandas.DataFrame(ROWS), overrides=overrides
    )
    assert set(result.scores) == {"few_shot_icl", "few_shot_finetune", "selfguide"}
    assert result.gain is not None and result.gain.value == pytest.approx(
        result.scores["selfguide"].value - result.scores["few_shot_icl"].value
    )
    # Instances change nothing of what is made: the data is found in the store.
    assert list(result.dataset) == list(unmeasured.dataset)
    assert result.run.result["cache"]["inputs"] == "hit"
    frame = selfguide.compare([result], to=tmp_path / "compared")
    assert frame.loc[0, "score_value"] == pytest.approx(result.scores["selfguide"].value)
    assert (tmp_path / "compared" / "comparison.html").exists()
    assert "cumulative" in (result.folder / "profile.txt").read_text()
    made = selfguide.export(result, tmp_path / "out")
    assert {name: path.name for name, path in made.items()} == {"dataset": "dataset", "model": "adapter"}


def test_the_process_keeps_its_own_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("defaults: [schema, _self_]\n")
    ConfigStore.instance().store("schema", {"a": 1})
    with hydra.initialize_config_dir(str(tmp_path / "mine"), version_base="1.3"):
        plugins = dict(Plugins.instance().class_name_to_class)
        before = HydraConfig.instance().cfg
        assert selfguide.compose("micro_color_word").task.name == "micro_color_word"
        with pytest.raises(ConfigError):
            selfguide.compose("micro_color_word", overrides=["seed=x"])
        assert hydra.compose("config") == {"a": 1}
        assert Plugins.instance().class_name_to_class == plugins
        assert HydraConfig.instance().cfg is before
    assert not GlobalHydra.instance().is_initialized()
    del ConfigStore.instance().repo["schema.yaml"]


def given_as(kind: str, folder: Path) -> dict[str, Any]:
    document = {
        "instruction": INSTRUCTION, "examples": [{"input": text, "output": label} for text, label in SHOWN],
        "instances": ROWS,
    }  # fmt: skip
    beside = {"instruction": INSTRUCTION, "examples": SHOWN}
    frame = pandas.DataFrame(ROWS)
    if kind == "dict":
        return {"task": document}
    if kind == "json":
        (folder / "t.json").write_text(json.dumps(document))
        return {"task": folder / "t.json"}
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
        return {"task": str(folder / "t.csv"), **beside}
    if kind == "jsonl":
        frame.to_json(folder / "rows.jsonl", orient="records", lines=True)
        return {"instances": folder / "rows.jsonl", **beside}
    if kind == "folder":
        for index, row in enumerate(ROWS):
            (folder / row["output"]).mkdir(exist_ok=True)
            (folder / row["output"] / f"{index}.txt").write_text(row["input"])
        return {"instances": folder, **beside}
    if kind == "frame":
        return {"task": frame, **beside}
    if kind == "dataset":
        return {"instances": pytest.importorskip("datasets").Dataset.from_pandas(frame), **beside}
    return {"instances": [(row["input"], row["output"]) for row in ROWS], **beside}


@pytest.mark.parametrize("kind", ["dict", "json", "csv", "jsonl", "folder", "frame", "dataset", "pairs"])
def test_a_task_may_come_as(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = selfguide.compose(**given_as(kind, tmp_path))
    task, gold = load_task(config.task, config.data, 0)
    assert (task.instruction, [(d.input, d.output) for d in task.demonstrations]) == (INSTRUCTION, SHOWN)
    inputs = {(row.input, row.references) for split in ("validation", "test") for row in gold.open(split, "lint")}
    assert inputs == {(row["input"], (row["output"],)) for row in ROWS}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"examples": SHOWN}, "instruction: has no value"),
        ({"instruction": "Do.", "examples": ["x"]}, "examples[0]: is a str; give a dict with input and output"),
        ({"instruction": "Do.", "examples": [{"input": "x"}]}, 'examples[0]: has no "output"'),
        ({"instruction": "Do.", "instances": pandas.DataFrame({"text": ["x"]})}, "has the columns text; rename two"),
        ({"instruction": "Do.", "examples": SHOWN, "instances": [("x", 1)]}, "put it in quotes"),
        ({"task": "task1516", "instances": ROWS}, "instances: task1516 has its own"),
        ({"task": "no_such_task"}, "task: there is no option 'no_such_task'"),
        ({"taks": "x"}, "taks: there is no such argument; allowed: task, instruction"),
    ],
)
def test_a_mistake_is_one_line(
    wrong: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError)) as caught:
        selfguide.compose(**wrong)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1).filter(str.strip))
def test_texts_reach_the_configuration_to_the_letter(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    override = OverridesParser.create().parse_override(f"task.instruction={_quoted(text)}")
    assert OmegaConf.create({"a": override.value()}).a == text


def test_models_and_the_hub_are_named() -> None:
    assert overrides_of("task1516", {"model": "vicuna_7b_v1_5"}) == ["task=task1516", "model=vicuna_7b_v1_5"]
    assert overrides_of("owner/data", {"model": "owner/model", "overrides": ["seed=1"]}) == [
        "task=hub", "task.hub.path='owner/data'", "task.name=data", "model=local", "model.path='owner/model'", "seed=1",
    ]  # fmt: skip


def test_importing_it_loads_nothing_heavy() -> None:
    import subprocess

    code = "import selfguide, sys; selfguide.run; print(sorted(set(sys.modules) & {'torch', 'transformers', 'pandas'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_sweep_from_python_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [
        "sweep.name=mine", "sweep.tasks=[micro_shade_or_size]", "sweep.record=null", "sweep.sampler=grid",
        "sweep.trials=null", "temperature.input=choice(0.6,0.8)", "method=few_shot_icl", "evaluation.limit=2",
        "evaluation.bootstrap=100",
    ]  # fmt: skip
    found = selfguide.sweep("default", overrides)
    assert found.value is not None and 0 <= found.value <= 1
    assert (found.folder / "lock.yaml").exists()
    assert not GlobalHydra.instance().is_initialized()
    assert selfguide.sweep("default", overrides) == found


def test_a_sweep_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        selfguide.sweep("nosuch")

"""A task is its instances: a copy under another name, in another file, has the preset's splits, half and count.

`python -m tests.tasks.test_identity` writes the table of the presets anew, from ../shared where it holds their files.
"""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from selfguide.config.schema import TaskConfig
from selfguide.core.paths import config_dir
from selfguide.tasks.gold import GoldData
from selfguide.tasks.identity import SAMPLE, TABLE, entry_of, hub_address
from selfguide.tasks.load import load_task, read_task
from selfguide.tasks.micro import TASKS
from tests.shared_data import SHARED
from tests.tasks.configs import data_config, json_task

FILES = SHARED / "sni" / "tasks"
ENTRIES: dict[str, dict[str, Any]] = json.loads(TABLE.read_text()) if TABLE.exists() else {}


def presets() -> dict[str, TaskConfig]:
    """Those of `conf/task` with data of their own."""
    found = {}
    for path in sorted((config_dir() / "task").glob("*.yaml")):
        if path.stem not in ("sni", "json", "hub"):
            node: Any = OmegaConf.merge(OmegaConf.structured(TaskConfig), OmegaConf.load(path))
            found[path.stem] = OmegaConf.to_object(node)
    return found


def table() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for name, task in presets().items():
        entry = entries[name] = {"group": task.group, "family": task.family}
        if task.source == "hub":
            entry["hub"] = hub_address(task)
        elif task.source == "micro" or list(FILES.glob(f"{task.id}_*.json")):
            entry |= entry_of(read_task(task, data_config(root=str(FILES))))
        elif "content" in ENTRIES.get(name, {}):
            entry |= {key: ENTRIES[name][key] for key in ("content", "ordered", "sample")}
    return entries


def test_the_table_is_of_the_presets() -> None:
    assert table() == ENTRIES
    samples = [set(entry["sample"]) for entry in ENTRIES.values() if "sample" in entry]
    assert all(len(sample) == SAMPLE for sample in samples)
    # A few rows are in two published tasks.
    assert all(len(one & other) < SAMPLE / 4 for one, other in combinations(samples, 2)), "one taken for another"


def gold_of(task: TaskConfig, **data: Any) -> GoldData:
    return load_task(task, data_config(**data), 0)[1]


def copy_of(name: str, folder: Path, **changes: Any) -> Path:
    """The bundled task's instances in the simple form."""
    document = json.loads((TASKS / f"{name.removeprefix('micro_')}.json").read_text())
    instances = [{"input": row["input"], "output": row["output"]} for row in document["Instances"]]
    examples = [{"input": row["input"], "output": row["output"]} for row in document["Positive Examples"]]
    content = {"instruction": "Do it.", "examples": examples, "instances": instances} | changes
    path = folder / "copy.json"
    path.write_text(json.dumps(content))
    return path


def inputs(gold: GoldData) -> dict[str, list[str]]:
    return {split: [row.input for row in gold.open(split)] for split in ("validation", "test")}


@pytest.mark.parametrize("name", ["micro_color_word", "micro_barn_or_garage"])
def test_a_copy_is_the_preset(name: str, tmp_path: Path) -> None:
    preset = gold_of(presets()[name])
    assert (preset.identity.preset, preset.identity.group, preset.identity.exact) == (name, "test", True)
    renamed = replace(presets()[name], name="other")
    for copy in (
        renamed,
        json_task(copy_of(name, tmp_path), name="mine"),
        replace(renamed, group=None),
        replace(renamed, group="validation"),
    ):
        gold = gold_of(copy)
        assert inputs(gold) == inputs(preset)
        assert gold.identity == preset.identity


def test_a_copy_with_a_few_instances_less_is_the_preset_but_not_its_split(tmp_path: Path) -> None:
    name = "micro_color_word"
    rows = json.loads(copy_of(name, tmp_path).read_text())["instances"]
    whole = gold_of(presets()[name])
    for part in (rows[1:], rows[::-1], [*rows[: len(rows) // 2], {"input": "new", "output": "red"}]):
        gold = gold_of(json_task(copy_of(name, tmp_path, instances=part)))
        assert gold.identity.content == whole.identity.content
        assert (gold.identity.preset, gold.identity.group, gold.identity.exact) == (name, "test", False)
    other = [{"input": f"{row['input']} today", "output": row["output"]} for row in rows]
    assert gold_of(json_task(copy_of(name, tmp_path, instances=other))).identity.preset is None


def test_ones_own_task_is_known_by_its_instances(tmp_path: Path) -> None:
    rows = [{"input": f"How much is {n} + 1?", "output": str(n + 1)} for n in range(40)]
    path = copy_of("micro_color_word", tmp_path, instances=rows)
    one, other = (gold_of(json_task(path, name=name, family="generation")) for name in ("one", "other"))
    assert one.identity.content == other.identity.content and one.identity.preset is None
    rows[0]["output"] = "2"
    copy_of("micro_color_word", tmp_path, instances=rows)
    assert gold_of(json_task(path, family="generation")).identity.content != one.identity.content


@pytest.mark.parametrize("outputs", [2, 40], ids=["classification", "generation"])
def test_a_name_a_family_or_labels_do_not_move_instances_from_test_to_validation(outputs: int, tmp_path: Path) -> None:
    rows = [{"input": f"Is {n} even?", "output": f"answer {n % outputs}"} for n in range(40)]
    path = copy_of("micro_color_word", tmp_path, instances=rows, examples=rows[:2])
    split = inputs(gold_of(json_task(path, name="one")))
    assert min(map(len, split.values())) > 1
    families: list[dict[str, Any]] = [{"family": "generation"}, {"family": "classification"}]
    for changes in ({}, *families, {"labels": sorted({row["output"] for row in rows})}, {"group": "test"}):
        assert inputs(gold_of(json_task(path, **{"name": "other", **changes}))) == split, changes


def test_which_instances_are_listed_does_not_change_the_content(tmp_path: Path) -> None:
    task = presets()["micro_color_word"]
    whole = gold_of(task)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / f"{task.name}.txt").write_text(whole.open("test")[0].id)
    listed = gold_of(task, split="ids", split_path=str(tmp_path))
    assert listed.count("test") == 1 and listed.identity.content == whole.identity.content


if __name__ == "__main__":
    TABLE.write_text(
        "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table().items()) + "\n}\n"
    )

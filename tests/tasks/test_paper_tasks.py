"""`conf/task`: the paper's 22 tasks as the protocol has them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from selfguide.config.schema import TaskConfig
from selfguide.tasks.declared_labels import check_labels
from selfguide.tasks.download import manifest

FOLDER = Path(__file__).parent.parent.parent / "conf" / "task"
PROTOCOL = {
    ("classification", "validation"): {190, 199, 200, 738, 937, 1385, 1386},
    ("generation", "validation"): {36, 39, 121, 1195},
    ("classification", "test"): {284, 329, 346, 1516, 1529, 1612, 1615},
    ("generation", "test"): {281, 1345, 1562, 1622},
}
FILES = sorted(FOLDER.glob("task*.yaml"))


def load(path: Path) -> TaskConfig:
    task: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TaskConfig), OmegaConf.load(path)))
    return task


def test_families_and_halves() -> None:
    found: dict[tuple[str, str | None], set[int]] = {}
    for path in FILES:
        task = load(path)
        found.setdefault((task.family, task.group), set()).add(int(task.name.removeprefix("task")))
    assert found == PROTOCOL


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each(path: Path) -> None:
    task = load(path)
    assert task.name == task.id == path.stem
    assert task.id in manifest()
    labels = check_labels(task)
    assert (labels is not None) is (task.family == "classification")
    assert task.metric == ("exact_match" if labels else "rouge_l")
    assert '"' in path.read_text().split("labels:")[1].splitlines()[0] or labels is None


def test_the_demo_shows_one_task_of_each_family_of_the_development_half() -> None:
    demo = yaml.safe_load((FOLDER.parent / "experiment" / "demo.yaml").read_text(encoding="utf-8"))
    shown = [load(FOLDER / f"{name}.yaml") for name in demo["hydra"]["sweeper"]["params"]["task"].split(",")]
    assert sorted(task.family for task in shown) == ["classification", "generation"]
    assert {task.group for task in shown} == {"validation"}


def test_generation_tasks_have_the_references_noise_terms() -> None:
    generation = [task for path in FILES if (task := load(path)).family == "generation"]
    assert {tuple(task.noise_terms) for task in generation} == {("input", "output", "\n\n", "\\_\\_")}

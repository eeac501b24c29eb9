"""`conf/task/bbh_*`: tasks of BIG-Bench Hard, on rows in the shape that the hub has; one split, divided here."""

from pathlib import Path

import datasets
import pytest

from selfguide.core.paths import config_dir
from selfguide.tasks.load import load_task
from selfguide.tasks.metrics import score_task
from tests.composing import run_config
from tests.tasks.configs import data_config

NAMES = sorted(path.stem for path in (config_dir() / "task").glob("bbh_*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_rows_become_instances(name: str, tmp_path: Path) -> None:
    task = run_config(f"task={name}").task
    answers = [str(label) for label in task.labels or ()]
    rows = [{"input": f"Question {i}?", "target": answers[i % 2]} for i in range(40)]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "data")
    task.hub.path = str(tmp_path / "data")
    spec, gold = load_task(task, data_config(), 0)
    assert spec.labels == tuple(answers) and {shown.output for shown in spec.demonstrations} == set(answers)
    assert gold.count("test") + gold.count("validation") == 40 and gold.count("validation") > 0
    for row in gold.open("test"):
        wrong = answers[1 - answers.index(row.references[0])]
        assert (score_task(spec, row.references[0], row), score_task(spec, wrong, row)) == (1.0, 0.0)

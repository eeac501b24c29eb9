"""The sweeps that are shipped, and locks in runs."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from hydra_plugins.selfguide_sweeper._space import overrides_of, read_space
from selfguide.config.frozen import data_settings, method_values, with_lock
from selfguide.config.paths import config_dir
from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed
from selfguide.data.load import load_task
from selfguide.errors import ConfigError
from selfguide.models import model_identity
from selfguide.search.ledger import Ledger
from selfguide.search.lock import Lock
from selfguide.standing import Watch
from tests.composing import composed as compose

NAMES = ["one_parameter_classification", "one_parameter_generation", "one_parameter_micro"]
TASK = "micro_color_word"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_sweeps_are_sound(name: str) -> None:
    config = compose(f"+sweep={name}")
    sweep = config.sweep
    assert sweep.name == name
    assert config.evaluation.split == "validation"
    assert not set(sweep.tasks) & set(sweep.test_tasks)
    for group, tasks in (("validation", sweep.tasks), ("test", sweep.test_tasks)):
        for task in tasks:
            assert OmegaConf.load(config_dir() / "task" / f"{task}.yaml").group == group, task
    space = read_space(dict(sweep.space), [])
    points = space.points()
    assert points is not None and len(points) == (16 if "micro" in name else 30)
    for first in sweep.first:
        assert space.check(dict(first)) in points
    # Every corner of the space is a valid run.
    for point in (points[0], points[-1]):
        typed(compose(f"+sweep={name}", *overrides_of(point)))


def run_config(*overrides: str) -> RunConfig:
    return typed(compose(f"task={TASK}", *overrides))


def lock_for(run: RunConfig, tmp_path: Path, **changes: Any) -> Path:
    task, gold = load_task(run.task, run.data, run.seed)
    content = {
        "version": 1,
        "name": "x",
        "setting": {"temperature.input": 0.65},
        "tasks": {"micro_time_stamp": {"metric": "exact_match", "split": "validation", "hash": "?"}},
        "test_tasks": {task.name: {"metric": task.metric, "split": "test", "hash": gold.hash("test")}},
        "data": data_settings(run),
        "model": {"name": "micro", "identity": model_identity(run.model)},
        "study": {"name": "x-1"},
        "values": {**method_values(run), "temperature.input": 0.65},
        **changes,
    }
    path = tmp_path / "lock.yaml"
    Lock(content).write(path)
    return path


def watch(run: RunConfig, tmp_path: Path) -> Watch:
    run.store.root = str(tmp_path / "store")
    task, gold = load_task(run.task, run.data, run.seed)
    watched = Watch(run, task, gold, tmp_path / "run")
    gold.open("test" if run.evaluation.split == "test" else "validation")
    return watched


def test_a_lock_decides_the_method(tmp_path: Path) -> None:
    path = lock_for(run_config(), tmp_path)
    frozen = with_lock(compose(f"task={TASK}", f"lock={path}", "seed=3"), ["seed=3"])
    assert frozen.temperature.input == 0.65 and frozen.seed == 3
    assert method_values(typed(frozen)) == {**method_values(run_config()), "temperature.input": 0.65}


@pytest.mark.parametrize(
    "override", ["temperature.input=0.9", "finetuning=full", "generation.rounds=3", "synthesis=smoke"]
)
def test_a_contradicted_lock_is_refused_with_the_difference(tmp_path: Path, override: str) -> None:
    path = lock_for(run_config(), tmp_path)
    with pytest.raises(ConfigError, match=r"says otherwise: .* -> "):
        with_lock(compose(f"task={TASK}", f"lock={path}", override), [override])


def test_frozen_and_unfrozen_runs_and_the_ledger(tmp_path: Path) -> None:
    loose = watch(run_config(), tmp_path).standing()
    assert (loose.frozen, loose.lock, loose.test_openings, loose.mark) == (False, None, 1, "UNFROZEN")
    path = lock_for(run_config(), tmp_path)
    held = watch(run_config(f"lock={path}"), tmp_path).standing()
    assert held.frozen is True and held.test_openings == 2 and held.mark == ""
    assert held.lock is not None and held.lock["same_model"] is True and held.lock["study"] == "x-1"
    outside = watch(run_config("evaluation.split=validation"), tmp_path).standing()
    assert (outside.frozen, outside.test_openings) == (None, None)
    rows = list(Ledger(tmp_path / "store" / "test_openings.jsonl").rows())
    assert [row["lock"] for row in rows] == [None, held.lock["hash"]]


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("task.metric=rouge_l", "metric: exact_match -> rouge_l"),
        ("data.split_seed=7", "data.split_seed: 42 -> 7"),
        ("data.validation_fraction=0.2", "hash: "),
        ("task=micro_time_stamp", "hash: ? -> "),
        ("task=micro_to_plan", "tasks: micro_time_stamp, micro_color_word -> micro_to_plan"),
    ],
)
def test_a_lock_that_no_longer_fits_is_refused_before_gold_is_opened(
    tmp_path: Path, override: str, difference: str
) -> None:
    path = lock_for(run_config(), tmp_path)
    split = "validation" if "time_stamp" in override else "test"
    with pytest.raises(ConfigError) as refusal:
        watch(typed(compose(f"task={TASK}", f"lock={path}", f"evaluation.split={split}", override)), tmp_path)
    assert difference in str(refusal.value)
    assert not (tmp_path / "store" / "test_openings.jsonl").exists()


def test_the_frozen_values_are_the_whole_method() -> None:
    values = method_values(run_config())
    assert {key.partition(".")[0] for key in values} == {
        "method", "protocol", "temperature", "generation", "filters", "annotation", "finetuning"
    }  # fmt: skip
    assert not any(key in values for key in ("annotation.batch", "finetuning.processes"))

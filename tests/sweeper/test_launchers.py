"""The same sweep through every launcher, for real: this process, joblib, submitit, a local Ray cluster."""

from pathlib import Path
from typing import Any

import pytest

from hydra_plugins.selfguide_launcher.actors import capacity, engine_of, resources
from tests.sweeper.apps import ROOT, jobs, pids, repeated, sweep, trials, winner

SPACE = ["x=choice(0.0,0.1,0.2)", "y=a", "sweep.tasks=[t0,t2]"]
# The preset is of this project, the application is not.
RAY = [f"hydra.searchpath=[file://{ROOT}/conf]", "+hydra.launcher.ray.init.num_cpus=2"]


@pytest.mark.parametrize(
    ("launcher", "more"),
    [
        ("basic", []),
        ("joblib", ["hydra.launcher.n_jobs=2"]),
        pytest.param("submitit_local", ["sweep.parallel=2"], marks=pytest.mark.slow),
        pytest.param("ray", RAY, marks=pytest.mark.slow),
    ],
)
def test_same_winner_through_every_launcher(tmp_path: Path, launcher: str, more: list[str]) -> None:
    said = sweep(tmp_path, *SPACE, f"hydra/launcher={launcher}", *more)
    assert winner(said) == "x=0.1"
    assert len(trials(tmp_path)) == 3 and not repeated(tmp_path)
    processes = len(pids(tmp_path))
    assert processes == 1 if launcher == "basic" else processes >= 2
    # What jobs print is in their folders, not in the table's terminal.
    assert len(list((tmp_path / "sweep" / "jobs").glob("*/output.log"))) == len(jobs(tmp_path))


NODES: list[dict[str, float]] = [{"CPU": 64.0, "GPU": 4.0, "big": 6.0, "memory": 1e9}, {"CPU": 12.0}]


@pytest.mark.parametrize(
    ("asked", "room"),
    [
        ({"num_gpus": 0}, 76),
        ({}, 4),
        ({"num_cpus": 8, "num_gpus": 0}, 8 + 1),
        ({"num_gpus": 0.5}, 8),
        ({"num_cpus": None, "num_gpus": 1, "resources": {"big": 2}}, 3),
        ({"num_cpus": 128}, 0),
    ],
)
def test_room_on_a_ray_cluster_is_that_of_its_nodes(asked: dict[str, Any], room: int) -> None:
    assert capacity(NODES, resources(NODES, asked)) == room
    assert resources(NODES[1:], {})["num_gpus"] == 0


def test_jobs_of_one_engine_are_told_by_their_overrides() -> None:
    one = ["task=a", "seed=1", "model=micro", "engine.device=cpu", "+experiment=demo", "finetuning.rank=8"]
    other = [
        "engine.device=cpu",
        "task=b",
        "finetuning.epochs=2",
        "finetuning.rank=8",
        "+experiment=demo",
        "model=micro",
    ]
    assert engine_of(one) == engine_of(other) and len(engine_of(one)) == 4
    assert engine_of([*one, "model.dtype=float32"]) != engine_of(one)


def test_a_crash_in_another_process_keeps_its_traceback(tmp_path: Path) -> None:
    sweep(tmp_path, *SPACE, "hydra/launcher=joblib", "sweep.parallel=2", "crash=true", "crash_at=0.1")
    (failed,) = [trial for trial in trials(tmp_path) if "error" in trial.user_attrs]
    assert "ValueError: crash at x=0.1" in failed.user_attrs["error"]
    assert "tests/sweeper/app.py" in failed.user_attrs["error"]

"""The wheel in an environment that holds what it declares and nothing else; then each extra, there and not."""

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_dependencies import PROJECT
from tests.test_packaging import pip, wheel  # noqa: F401

pytestmark = pytest.mark.slow
QUICK = (
    "task=micro_barn_or_garage", "generation.target=8", "annotation.samples=2", "annotation.best_of=2",
    "evaluation.limit=4", "evaluation.controls=false", "finetuning.epochs=1", "finetuning.max_epochs=1",
)  # fmt: skip
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def closure(requirements: list[str]) -> set[str]:
    """The distributions that these bring with them."""
    todo = [Requirement(line) for line in requirements]
    known: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in known:
                continue
            known.add((name, extra))
            try:
                lines = distribution(name).requires or []
            except PackageNotFoundError:
                continue
            below = [Requirement(line) for line in lines]
            environments = ({"extra": extra}, {"extra": ""})
            todo += [r for r in below if r.marker is None or any(map(r.marker.evaluate, environments))]
    return {name for name, _ in known}


def link(requirements: list[str], site: Path) -> None:
    """Make the distributions of this environment that these bring with them part of another one."""
    for name in closure(requirements):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        for file in files:
            top = file.parts[0]
            if top in ("..", "__pycache__") or (len(file.parts) == 1 and top.endswith(".pth")):
                continue
            # Launchers share a package with the sweeper of the wheel.
            part = Path(*file.parts[:2]) if top == "hydra_plugins" else Path(top)
            target = site / part
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(str(distribution(name).locate_file(part))))


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A new environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("plain")
    venv.create(folder, symlinks=True)
    link(PROJECT["dependencies"], site_of(folder))
    pip("install", "--no-deps", "--target", str(site_of(folder)), str(wheel))
    return folder


def site_of(environment: Path) -> Path:
    (site,) = (environment / "lib").glob("python*/site-packages")
    return site


@pytest.fixture
def alone(plain: Path, tmp_path: Path) -> tuple[Path, Run]:
    """(site folder, how to run a module) of a copy of it."""
    shutil.copytree(plain, tmp_path / "venv", symlinks=True)

    def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {key: value for key, value in os.environ.items() if key not in hidden}
        environment |= {"SELFGUIDE_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"}
        command = [str(tmp_path / "venv" / "bin" / "python"), "-m", module, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, env=environment)

    return site_of(tmp_path / "venv"), run


def test_the_main_job_runs_from_the_wheel_alone(alone: tuple[Path, Run], tmp_path: Path) -> None:
    site, run = alone
    for package in ("datasets", "wandb", "cmaes", "ray", "vllm", "pytest"):
        assert not (site / package).exists(), "the environment is no plain one"
    done = run("selfguide.main", *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "ok"


MISSING = {
    "hub": ("selfguide.main", "task=hub", "task.hub.path=none/such", "task.hub.split=test",
            "task.hub.input_template='{a}'", "task.hub.output_column=b", "task.name=mine", "task.instruction=Do.",
            "task.demonstrations=[{input: a, output: b}]"),
    "wandb": ("selfguide.main", *QUICK, "tracking=wandb"),
    "tensorboard": ("selfguide.main", *QUICK, "tracking=tensorboard"),
    "vllm": ("selfguide.main", *QUICK, "engine=vllm"),
    "joblib": ("selfguide.main", "--multirun", "hydra/launcher=joblib", *QUICK),
    "slurm": ("selfguide.main", "--multirun", "hydra/launcher=slurm", *QUICK),
    "ray": ("selfguide.main", "--multirun", "hydra/launcher=ray", *QUICK),
}  # fmt: skip


def test_what_an_extra_brings_is_missed_in_one_line(alone: tuple[Path, Run]) -> None:
    _, run = alone
    wrong = {}
    for extra, command in MISSING.items():
        done = run(*command)
        lines = [line for line in done.stderr.splitlines() if "error: " in line.lower()]
        in_one_line = len(lines) == 1 and f"selfguide[{extra}]" in lines[0] and "Traceback" not in done.stderr
        if done.returncode != 2 or not in_one_line:
            wrong[extra] = done.stderr
    assert not wrong


def test_a_server_that_is_not_there_is_one_line_on_a_plain_install(alone: tuple[Path, Run]) -> None:
    _, run = alone
    server = ("engine=openai", "engine.base_url=http://127.0.0.1:9/v1", "engine.retries=0")
    done = run("selfguide.main", *QUICK, *server)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "engine=openai: http://127.0.0.1:9/v1" in done.stderr


PROMPTED = ("method=few_shot_icl", "task=micro_barn_or_garage", "evaluation.limit=4")
"""None of the extras has to do with what a method makes."""
WORKS = {
    "tensorboard": (*PROMPTED, "tracking=tensorboard"),
    "wandb": (*PROMPTED, "tracking=wandb", "tracking.mode=offline"),
    "joblib": ("--multirun", "hydra/launcher=joblib", *PROMPTED),
}


@pytest.mark.parametrize("extra", WORKS)
def test_an_extra_is_all_that_its_feature_needs(extra: str, alone: tuple[Path, Run], tmp_path: Path) -> None:
    site, run = alone
    link(PROJECT["optional-dependencies"][extra], site)
    done = run("selfguide.main", *WORKS[extra])
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("result.json"))
    if extra == "tensorboard":
        assert list(tmp_path.rglob("events.out.tfevents*"))

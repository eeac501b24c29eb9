"""One project, every way to start it: checkout, editable install, wheel; module and console script; any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from selfguide.core.paths import config_dir

ROOT = Path(__file__).resolve().parents[1]


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("selfguide-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    return target


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("editable")
    pip("install", "--no-deps", "--no-build-isolation", "--target", str(target), "--editable", str(ROOT))
    return target


def shown(arguments: list[str], cwd: Path, site: Path | None) -> str:
    """What a fresh interpreter prints, with `site` added as a site directory and the checkout out of reach."""
    code = "import sys, runpy, site\n"
    if site is not None:
        code += f"site.addsitedir({str(site)!r}); sys.path.insert(0, sys.path.pop())\n"
    code += f"sys.argv = {arguments!r}\nrunpy.run_module(sys.argv[0], run_name='__main__')\n"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if site is None:
        environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=400, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("how", ["checkout", "editable", "wheel"])
def test_the_module_runs_from_any_folder(how: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    site = {"checkout": None, "editable": "editable", "wheel": "installed"}[how]
    folder = None if site is None else request.getfixturevalue(site)
    for cwd in (tmp_path, ROOT):
        if how == "wheel" and cwd == ROOT:
            continue  # the checkout would be found first there
        text = shown(["selfguide.main", "--cfg", "job", "task=task190"], cwd, folder)
        assert "name: task190" in text
        assert "+sweep" not in text


@pytest.mark.parametrize("how", ["editable", "installed"])
def test_the_console_script_runs_from_any_folder(how: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    target: Path = request.getfixturevalue(how)
    script = target / "bin" / "selfguide"
    assert script.exists()
    # A --target folder is no site directory of its own: what pip would have done is done here.
    code = f"import site, sys, runpy; site.addsitedir({str(target)!r}); sys.path.insert(0, sys.path.pop())\n"
    code += f"sys.argv = [{str(script)!r}, 'run', '--help']; runpy.run_path({str(script)!r}, run_name='__main__')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=400, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "task190" in done.stdout


def test_the_wheel_ships_configuration_model_and_tasks(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in config_dir().rglob("*.yaml"):
        assert f"selfguide/conf/{path.relative_to(config_dir())}" in names, path
    for name in (
        "selfguide/resources/micro/model/model.safetensors",
        "selfguide/resources/micro/model/tokenizer.json",
        "selfguide/tasks/sni_manifest.json",
        "selfguide/resources/chat_templates/vicuna.jinja",
        "selfguide/conf/experiment/demo.yaml",
    ):
        assert name in names, name
    assert any(name.startswith("selfguide/resources/micro/tasks/") for name in names)
    assert any(name.startswith("hydra_plugins/selfguide_sweeper/") for name in names)
    assert "hydra_plugins/__init__.py" not in names
    assert not any(name.startswith("tests/") for name in names)

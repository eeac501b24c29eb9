"""What others add: a package's entry points, a folder of one's own, and what may not be imported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from selfguide.config.builtin import METHODS, REGISTRIES
from selfguide.config.identity import knobs_of
from selfguide.config.registry import Entry, Registry
from selfguide.core.errors import ConfigError, MissingDependencyError
from tests import cli
from tests.composing import run_config

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "examples" / "plugin"
FEW = (
    "task=micro_color_word", "evaluation.limit=6", "evaluation.controls=false", "evaluation.bootstrap=100",
    "generation.target=6", "generation.rounds=2", "annotation.samples=2", "annotation.best_of=2", "finetuning=none",
    "annotation.annotator=base",
)  # fmt: skip


def command(*arguments: str, cwd: Path, path: str, module: str = "selfguide.main") -> subprocess.CompletedProcess[str]:
    """In a fresh interpreter for what is installed in a folder, from the checkout otherwise."""
    if str(ROOT) in path.split(os.pathsep):
        return cli.run(module, *arguments, cwd=cwd, environment={"PYTHONPATH": path})
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    fresh = [sys.executable, "-m", module, *arguments]
    return subprocess.run(fresh, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment)


def installed(folder: Path, **entry_points: str) -> str:
    """A package that is installed in `folder`: its metadata alone; `group__name="module:attribute"`."""
    metadata = folder / "broken_package-1.5.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.5\n")
    lines = [
        f"[selfguide.{key.split('__')[0]}]\n{key.split('__')[1]} = {value}\n" for key, value in entry_points.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return f"{ROOT}{os.pathsep}{folder}"


def test_a_broken_package_is_named_where_it_is_used_and_nowhere_else(tmp_path: Path) -> None:
    path = installed(tmp_path / "site", methods__broken="no_such_module:run", metrics__odd="no_such_module:odd")
    assert "broken" in command("--help", cwd=tmp_path, path=path).stdout
    fine = command("--cfg", "job", "method=zerogen", cwd=tmp_path, path=path)
    assert fine.returncode == 0 and "name: zerogen" in fine.stdout
    used = command("method=broken", cwd=tmp_path, path=path)
    assert used.returncode == 2 and len(used.stderr.splitlines()) == 1, used.stderr
    assert "method.kind: broken of the package broken-package cannot be imported: ModuleNotFoundError" in used.stderr
    listed = command("task.metric=magic", cwd=tmp_path, path=path)
    assert listed.stderr.endswith("rouge_l_char | odd\n"), listed.stderr


def test_the_documented_snippets_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "extending.md").read_text()
    for header, body in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL):
        file = tmp_path / header
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(body)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        "half_s3.yaml", "initials.yaml", "my_module.py", "reversed.yaml",
    ]  # fmt: skip
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    (line,) = re.findall(r"^selfguide run (--config-dir mine .*)$", text, re.MULTILINE)
    arguments = [argument.strip('"') for argument in re.findall(r'"[^"]*"|\S+', line)]
    few = [override for override in FEW if not override.startswith("task=")]
    done = command(*arguments, *few, "hydra.run.dir=run", "store.root=store", cwd=tmp_path, path=path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["method"], result["metric"]) == ("reversed", "my_module.first_letter")
    recipe = command("--config-dir", "mine", "method=half_s3", "--cfg", "job", cwd=tmp_path, path=path)
    assert "name: half_s3" in recipe.stdout and "kind: loop" in recipe.stdout
    for kind in re.findall(r"^\| \w.*? \| `(selfguide\.\w+)`", text, re.MULTILINE):
        assert any(registry.group == kind for registry in REGISTRIES)
    assert len(re.findall(r"^\| \w.*? \| `selfguide\.\w+`", text, re.MULTILINE)) == len(REGISTRIES)


def test_a_target_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "method"
    folder.mkdir(parents=True)
    for name, target in (("gone", "no_such_module.run"), ("number", "sys.maxsize")):
        (folder / f"{name}.yaml").write_text(f"name: {name}\n_target_: {target}\n")
        done = command("--config-dir", str(folder.parent), f"method={name}", cwd=tmp_path, path=str(ROOT))
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert f"method._target_: {target}" in done.stderr


def test_a_value_of_a_run_folder_is_not_imported() -> None:
    """A dotted path is a name only where a `_target_` of this process's own configuration said so."""
    with pytest.raises(ConfigError, match=r"method\.kind: 'os\.getcwd' is not allowed"):
        METHODS.load("os.getcwd")
    with pytest.raises(ConfigError, match=r"method\.kind: 'os\.getcwd' is not allowed"):
        run_config("method.kind=os.getcwd")


def test_every_built_in_implementation_is_there() -> None:
    for registry in REGISTRIES:
        for name in registry.builtin:
            try:
                assert callable(registry.load(name)), (registry.key, name)
            except MissingDependencyError:  # an extra that is not installed here
                continue


def test_a_version_is_part_of_the_keys() -> None:
    run = run_config(*FEW, "filters.extra=[length]")
    registry: Registry = run.filters.__dataclass_fields__["extra"].metadata["allowed"].registry
    before = knobs_of(run.filters, "inputs")
    registry.builtin["length"] = Entry(registry.builtin["length"].factory, version="2")
    try:
        assert before["extra"] == ["length"] and knobs_of(run.filters, "inputs")["extra"] == ["length2"]
    finally:
        registry.builtin["length"] = Entry(registry.builtin["length"].factory)


def test_extra_filters_are_counted_under_their_names(tmp_path: Path) -> None:
    (tmp_path / "my_filter.py").write_text("def none(task, config, side):\n    return lambda text: 'a reason'\n")
    done = command(
        *FEW, "filters.extra=[{_target_: my_filter.none}]", "hydra.run.dir=run", "store.root=store",
        cwd=tmp_path, path=f"{ROOT}{os.pathsep}{tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["drops"]["inputs"]["my_filter.none"] > 0 and result["status"] == "empty_dataset"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages from their wheels, in one folder, with nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for source in (ROOT, PLUGIN):
        for step in (
            ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder / "built"), str(source)],
            ["install", "--no-deps", "--upgrade", "--target", str(folder / "site")],
        ):
            built = [str(path) for path in sorted((folder / "built").glob("*.whl"))] if step[0] == "install" else []
            done = subprocess.run([*pip, *step, *built], cwd=folder, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.mark.slow  # builds and installs two wheels
def test_the_example_plugin_passes_its_tests_from_the_wheels(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text((PLUGIN / "tests" / "test_example.py").read_text())
    done = command(
        "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", cwd=tmp_path, path=str(wheels), module="pytest"
    )
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_run_with_all_that_the_plugin_adds(wheels: Path, tmp_path: Path) -> None:
    rows = [
        f"I see the {color} {thing}.\t{color}" for color in ("red", "blue", "green") for thing in ("hat", "car", "bed")
    ]
    shown = [f"{row}\tdemonstration" if index in (0, 4, 8) else row for index, row in enumerate(rows)]
    (tmp_path / "mine.tsv").write_text("\n".join(["Name the color.", *shown]))
    done = command(
        *[override for override in FEW if not override.startswith("task=")],
        "task=tsv", "task.name=mine", "task.path=mine.tsv", "task.family=generation", "task.metric=first_word",
        "method=self_prompt", "engine=greedy", "filters.extra=[no_digits]", "data.validation_fraction=0.5",
        "hydra.run.dir=run", "store.root=store",
        cwd=tmp_path, path=str(wheels),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["method"], result["metric"], result["engine"]) == ("self_prompt", "first_word", "greedy")
    shipped = {path.relative_to(wheels): path.read_bytes() for path in (wheels / "selfguide").rglob("*.py")}
    assert len(shipped) > 200 and all((ROOT / path).read_bytes() == content for path, content in shipped.items())

"""Arrows of dependency point one way, gold stays where it belongs, heavy imports stay out of the way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "selfguide"
HEAVY = {"pandas", "torch", "transformers", "peft", "vllm", "datasets", "wandb", "tensorboard", "accelerate", "ray"}

# Each package may import itself and those before it. Modules beside them (main, commands) are the top.
ORDER = (
    "core",
    "config",
    "prompts",
    "tasks",
    "store",
    "models",
    "synthesis",
    "training",
    "evaluation",
    "search",
    "methods",
    "analysis",
)
# The pipeline puts the packages together; the applications run it, and the commands run them.
TOP = ("pipeline", "apps", "testing")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Everything a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def level(name: str) -> int:
    """How far up a module stands."""
    part = name.split(".")[1] if "." in name else ""
    order = ("", *ORDER, *TOP)
    return order.index(part) if part in order else len(order)


def test_every_package_has_its_level() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == {*ORDER, "apps", "testing"}


# The package itself, which everything imports, hands out the Python API when it is asked for.
@pytest.mark.parametrize("name", [name for name in modules() if name != "selfguide"])
def test_no_import_points_upwards(name: str) -> None:
    known = modules()
    upwards = [target for target in imports(known[name]) if target in known and level(target) > level(name)]
    assert not upwards, f"{name} imports {upwards}, which stand above it"


# What a method may use of the tasks package: reading texts, never instances.
WITHOUT_GOLD = {
    "selfguide.tasks.context",
    "selfguide.tasks.labels",
    "selfguide.tasks.metrics",
    "selfguide.tasks.own_rows",
    "selfguide.tasks.provenance",
}
SYNTHESIS = ("selfguide.synthesis", "selfguide.methods", "selfguide.training.encoder")


@pytest.mark.parametrize("name", [name for name in modules() if name.startswith(SYNTHESIS)])
def test_synthesis_and_methods_cannot_reach_gold(name: str) -> None:
    known = modules()
    reached = {target for target in imports(known[name]) if target in known and target.startswith("selfguide.tasks.")}
    assert reached <= WITHOUT_GOLD, f"{name} imports {reached - WITHOUT_GOLD}"


def test_only_the_entry_points_read_gold() -> None:
    readers = {
        name
        for name, path in modules().items()
        if any(target.startswith("selfguide.tasks.load") for target in imports(path))
        and not name.startswith("selfguide.tasks")
    }
    assert "selfguide.pipeline" in readers
    below = {name for name in readers if level(name) < level("selfguide.pipeline")}
    assert below == {"selfguide.search.content"}  # hashes it


def test_whoever_opens_gold_has_it_counted() -> None:
    """The checks of the linter are given gold; its command counts."""
    openers = {name for name, path in modules().items() if "gold.open(" in path.read_text(encoding="utf-8")}
    assert {"selfguide.pipeline", "selfguide.apps.lint.checks"} <= openers
    commands = {name.replace("lint.checks", "lint.command") for name in openers}
    assert {name for name in commands if "selfguide.search.protocol_check" not in imports(modules()[name])} == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["seed=-1"]])
def test_help_and_config_errors_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, runpy, atexit\n"
        f"atexit.register(lambda: print('LOADED', sorted(set(sys.modules) & {HEAVY | {'optuna'}!r})))\n"
        f"sys.argv = ['main', *{arguments!r}]\n"
        "runpy.run_module('selfguide.main', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=400, env=_environment()
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}

"""Arrows of dependency point one way, gold stays where it belongs, heavy imports stay out of the way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "selfguide"
HEAVY = {"torch", "transformers", "peft", "vllm", "datasets", "wandb", "tensorboard", "accelerate", "ray"}

# A layer may import itself and those before it. What is in none (entry points) may import all.
LAYERS = [
    {"errors", "seeding", "types", "together.turns"},
    {"prompts", "config"},
    {
        *("tokenization", "engines.base", "store.atomic"),
        *("evaluation.text", "evaluation.labels", "evaluation.numbers", "synthesis.text"),
    },
    {"store.stages", "store", "synthesis", "evaluation.metrics", "evaluation.statistics", "evaluation.floors"},
    {"models", "ui", "data", "finetuning", "encoder", "engines"},
    {"session"},
    {"stages", "evaluation"},
    {"methods"},
    {"report"},
    {"pipeline"},
]


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def layer(name: str) -> int | None:
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        for level, members in enumerate(LAYERS):
            if prefix in members:
                return level
    return None


@pytest.mark.parametrize("name", [name for name in modules() if layer(name) is not None])
def test_no_import_points_upwards(name: str) -> None:
    own = layer(name)
    known = modules()
    upwards = [
        target
        for target in imports(modules()[name])
        if target in known and (level := layer(target)) is not None and own is not None and level > own
    ]
    assert not upwards, f"{name} imports {upwards}, which stand above it"


SYNTHESIS = ("selfguide.synthesis", "selfguide.methods", "selfguide.encoder")


@pytest.mark.parametrize("name", [name for name in modules() if name.startswith(SYNTHESIS)])
def test_synthesis_and_methods_cannot_reach_gold(name: str) -> None:
    reached = imports(modules()[name])
    assert not any(target.startswith("selfguide.data") for target in reached), f"{name} imports selfguide.data"


def test_only_the_entry_points_read_gold() -> None:
    readers = {
        name
        for name, path in modules().items()
        if any(target.startswith("selfguide.data.load") for target in imports(path))
        and not name.startswith("selfguide.data")
    }
    assert "selfguide.pipeline" in readers
    assert not {name for name in readers if layer(name) is not None and layer(name) < layer("selfguide.pipeline")}  # type: ignore[operator]


def test_whoever_opens_gold_has_it_counted() -> None:
    """The checks of the linter are given gold; its command counts."""
    openers = {name for name, path in modules().items() if "gold.open(" in path.read_text(encoding="utf-8")}
    assert {"selfguide.pipeline", "selfguide.lint.checks"} <= openers
    commands = {name.replace("lint.checks", "lint.__main__") for name in openers}
    assert {name for name in commands if "selfguide.standing" not in imports(modules()[name])} == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["seed=-1"]])
def test_help_and_config_errors_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys, runpy, atexit\n"
        f"atexit.register(lambda: print('LOADED', sorted(set(sys.modules) & {HEAVY | {'optuna'}!r})))\n"
        f"sys.argv = ['main', *{arguments!r}]\n"
        "runpy.run_module('selfguide.main', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=_environment()
    )
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}

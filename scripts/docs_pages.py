"""The generated pages of the documentation: configuration, presets, commands, results, design.

Run by `mkdocs build` (see mkdocs.yml). Whatever is said twice is written once: comments of `conf/`, `--help`, the
READMEs of the experiments, ARCHITECTURE.md.
"""

import dataclasses
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mkdocs_gen_files
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from selfguide.apps.verbs import VERBS
from selfguide.config.groups import register
from selfguide.config.identity import declared
from selfguide.config.schema import RunConfig
from selfguide.core.escaping import markdown_cell

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
LINE = re.compile(r"^(?P<indent>\s*)(?P<key>\w+):(?P<value>[^#]*)(?:#\s*(?P<comment>.*))?$")
CONTINUED = re.compile(r"^\s+#\s*(?P<comment>.*)$")
SAID_HERE = {
    "options": "settings of an implementation of your own (a plugin, or `_target_`)",
    "name": "what results call it",
    "kind": "the implementation",
}
"""Of keys that every group has and no file of `conf/` explains."""
PAGES = {
    "experiments/README.md": "results/index.md",
    "experiments/micro/README.md": "results/micro.md",
    "experiments/table_main/README.md": "results/table_main.md",
    "experiments/sweep_micro/README.md": "results/sweep_micro.md",
    "experiments/bench/README.md": "results/bench.md",
    "ARCHITECTURE.md": "design/architecture.md",
    "CONTRIBUTING.md": "design/contributing.md",
    "CHANGELOG.md": "design/changelog.md",
    "docs/extending.md": "extending.md",
}
"""Files of the repository, and the pages that show them."""


def comments(path: Path) -> Iterator[tuple[str, str]]:
    """The full keys that a file of `conf/` sets, with their comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    above: list[tuple[int, str]] = [] if "# @package _global_" in lines[:3] else [(-1, path.parent.name)]
    if path.parent == CONF:
        above = []
    found: dict[str, str] = {}
    key, before = "", ""
    for line in lines:
        if match := LINE.match(line):
            indent = len(match["indent"])
            above = [*((i, name) for i, name in above if i < indent), (indent, match["key"])]
            key = ".".join(name for _, name in above)
            found[key] = (match["comment"] or "").strip() or before
        elif key and (match := CONTINUED.match(line)) and line.index("#") > 20:
            found[key] += f" {match['comment'].strip()}"
        before = line[1:].strip() if line.startswith("# ") and key else ""
    yield from found.items()


def all_comments() -> dict[str, str]:
    """Of every key the comment that stands beside it: that of the default preset where several have one."""
    first = ("config", "default", "json", "hub", "sni", "lora", "loop", "self", "selfguide")
    order = {stem: index for index, stem in enumerate(first)}
    files = sorted(CONF.rglob("*.yaml"), key=lambda path: (order.get(path.stem, len(order)), str(path)))
    known: dict[str, str] = {}
    for path in files:
        if path.parent.name not in ("table", "sweep", "experiment", "launcher"):
            for key, comment in comments(path):
                known[key] = known.get(key) or comment
    return known


def knobs(node: type[Any], prefix: str = "") -> Iterator[tuple[str, "dataclasses.Field[Any]"]]:
    """Full keys and fields of the schema, those of every engine and method included."""
    for name, field in declared(node).items():
        kinds = (field.type, *typing.get_args(field.type))
        inner = next((kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)
        if inner is None:
            yield f"{prefix}{name}", field
        else:
            yield from knobs(inner, f"{prefix}{name}.")


def composed() -> DictConfig:
    """The configuration of a run without any override."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config")


def configuration() -> str:
    """Every key of the schema: its default, what is allowed, what it does."""
    defaults, said = composed(), all_comments()
    text = [
        "# Every configuration key\n\nThe default is that of `selfguide run` without any override. "
        "`teacher.model.*` and `teacher.engine.*` are the keys of `model` and `engine`, for the teacher."
    ]
    group = ""
    for key, field in knobs(RunConfig):
        if key.startswith(("sweep.", "plan.", "teacher.model.", "teacher.engine.")) or "_target_" in key:
            continue
        top = key.split(".")[0] if "." in key else "run"
        if top != group:
            group = top
            text.append(f"\n## {group}\n\n| key | default | allowed | what it does |\n|---|---|---|---|")
        value = OmegaConf.select(defaults, key)
        default = "" if value is None else f"`{markdown_cell(str(value))}`"
        parents = [key.rsplit(".", i)[0] for i in range(key.count(".") + 1)]
        comment = next((said[parent] for parent in parents if said.get(parent)), SAID_HERE.get(key.split(".")[-1], ""))
        allowed = markdown_cell(str(field.metadata.get("allowed") or ""))
        text.append(f"| `{key}` | {default} | {allowed} | {markdown_cell(comment)} |")
    return "\n".join(text) + "\n"


def presets() -> str:
    """Every option of every group, with the first line of its file."""
    text = ["# Presets\n\nChosen as `group=option`; sweeps, tables and experiments as `+group=option`.\n"]
    for folder in sorted(path for path in CONF.rglob("*") if path.is_dir() and list(path.glob("*.yaml"))):
        text.append(f"\n## {folder.relative_to(CONF)}\n\n| option | what it is |\n|---|---|")
        for path in sorted(folder.glob("*.yaml")):
            notes = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
            first = next((note for note in notes if not note.startswith("@package")), "")
            text.append(f"| `{path.stem}` | {markdown_cell(first)} |")
    return "\n".join(text) + "\n"


def commands() -> str:
    """What each command's `--help` prints."""
    text = ["# Commands\n"]
    for name in VERBS:
        command = [sys.executable, "-m", "selfguide.main", name, "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        text.append(f"## selfguide {name}\n\n```text\n{done.stdout.strip()}\n```\n")
    return "\n".join(text)


def page_of(source: str, page: str) -> str:
    """A Markdown file of the repository as a page: links to files that are no page become their names."""

    def link(match: re.Match[str]) -> str:
        target = match["target"].split("#")[0]
        if "://" in target:
            return match[0]
        path = (ROOT / source).parent.joinpath(target).resolve().relative_to(ROOT).as_posix().rstrip("/")
        shown = PAGES.get(path) or PAGES.get(f"{path}/README.md")
        return f"[{match['text']}]({'../' * page.count('/')}{shown})" if shown else match["text"]

    text = (ROOT / source).read_text(encoding="utf-8")
    return re.sub(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)", link, text)


def write(page: str, text: str) -> None:
    """Hand a page to mkdocs."""
    with mkdocs_gen_files.open(page, "w") as file:
        file.write(text)


write("reference/configuration.md", configuration())
write("reference/presets.md", presets())
write("reference/commands.md", commands())
for origin, shown_as in PAGES.items():
    if not origin.startswith("docs/"):
        write(shown_as, page_of(origin, shown_as))

"""Every command that the documents, the help and the comments show is one: it composes and checks as it stands."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Sweep

from selfguide import cli
from selfguide.apps.verbs import VERBS
from selfguide.config.commands import ChatConfig, ExportConfig, ServeConfig, typed_command
from selfguide.config.composing import composed, own_hydra
from selfguide.config.overrides import in_order
from selfguide.config.plan_table import PlanTableConfig
from selfguide.config.table import TableConfig
from selfguide.config.validate import typed

ROOT = Path(__file__).resolve().parents[1]
COMMAND_CONFIGS = {
    "chat": ChatConfig,
    "export": ExportConfig,
    "serve": ServeConfig,
    "table": TableConfig,
    "plan_table": PlanTableConfig,
}
SOURCES = [
    ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "conf").rglob("*.yaml")),
    ROOT / "sweeps" / "README.md", ROOT / "experiments" / "README.md", ROOT / "Makefile",
]  # fmt: skip


def shown() -> Iterator[tuple[str, str]]:
    """(file, command): lines that start with it, in a block, a comment or a help text, and those in back quotes."""
    for file in SOURCES:
        text = file.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = re.findall(r"^(?:#\s+|\s*)(selfguide [a-z].*)$", text, re.MULTILINE)
        for line in [*lines, *re.findall(r"`(selfguide [a-z][^`\n]*)`", text)]:
            # Behind two spaces a help says what it does.
            words = re.split(r"\s{2,}", line)[0]
            if words.split()[1] in VERBS and not re.search(r"…|\.\.\.|[A-Z]{3,}|\$\{", words):
                yield str(file.relative_to(ROOT)), words.partition(" #")[0]
    for line in cli.overview().splitlines():
        if line.startswith("  selfguide "):
            yield "selfguide --help", re.split(r"\s{2,}", line.strip())[0]


COMMANDS = sorted(set(shown()))


def test_there_are_many() -> None:
    assert len(COMMANDS) > 30
    assert {command.split()[1] for _, command in COMMANDS} >= {
        "run",
        "lint",
        "plan",
        "sweep",
        "table",
        "chat",
        "export",
    }


@pytest.mark.parametrize(("file", "command"), COMMANDS)
def test_a_shown_command_is_one(
    file: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, verb, *words = shlex.split(command)
    config = VERBS[verb].config
    if verb == "plan" and any(word.startswith("+table=") for word in words):
        config = verb = "plan_table"
    if config is None:
        monkeypatch.setattr(sys, "argv", ["selfguide"])
        with pytest.raises(SystemExit) as ended:
            cli.start_program("selfguide", [verb, *words])
            raise SystemExit(0)
        # What it is about is not here, but its words are understood.
        assert "usage:" not in capsys.readouterr().err and ended.value.code in (0, None, 2)
        return
    words = in_order(words, VERBS[verb].named if verb in VERBS else ())
    if "--config-dir" in words:
        pytest.skip("needs the reader's own folder; tests/test_init.py and tests/test_extending.py run it")
    overrides = [first_of(word) for word in words if word not in ("-m", "--multirun", "--cfg", "job", "--help")]
    with own_hydra():
        found = composed(overrides, config)
        if verb in COMMAND_CONFIGS:
            if "run" in found and "run=" not in command:
                found.run = "runs/x"
            typed_command(found, COMMAND_CONFIGS[verb])
        else:
            typed(found)


def first_of(word: str) -> str:
    """An override as the first job of a multirun has it."""
    override = OverridesParser.create().parse_override(word)
    value = override.value()
    if not isinstance(value, Sweep):
        return word
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELFGUIDE_STORE", str(tmp_path / "store"))
    (code,) = re.findall(r"```python\n(import selfguide\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    # The same call, on less: the bundled model's usual sizes take a minute.
    small = 'overrides=["debug=fast", "evaluation.limit=null"],\n)\nprint(result.scores'
    names: dict[str, object] = {}
    exec(code.replace(")\nprint(result.scores", small), names)
    result = names["result"]
    assert result.scores["selfguide"].n == 1  # type: ignore[attr-defined]

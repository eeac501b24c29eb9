"""`selfguide VERB …`: every command starts, says what it does, and ends in one line for a mistake."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfguide import __version__, cli
from selfguide.apps.completion import SCRIPTS, USE, matches
from selfguide.apps.verbs import VERBS
from selfguide.config.overrides import in_order
from tests import cli as forked
from tests.test_cli import ROOT, command


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_command_has_a_quick_help(verb: str, tmp_path: Path) -> None:
    done = forked.run("selfguide.main", verb, "--help", cwd=tmp_path, before=forked.nothing_heavy)
    assert done.returncode == 0, done.stderr
    assert f"selfguide {verb}" in done.stdout or verb == "bench"
    assert not list(tmp_path.iterdir())


def start(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["selfguide"])
        try:
            cli.start_program("selfguide", list(arguments))
        except SystemExit as ended:
            return *capsys.readouterr(), ended.code
    return *capsys.readouterr(), 0


def test_without_a_command_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("--help",)):
        said, _, code = start(*arguments, capsys=capsys)
        assert code == 0 and all(re.search(rf"^  {verb} +\w", said, re.MULTILINE) for verb in VERBS)
        assert max(map(len, said.splitlines())) <= 100
    for arguments in (("--version",), ("run", "--version")):
        assert start(*arguments, capsys=capsys)[0] == f"selfguide {__version__}\n"
    assert start("rnu", capsys=capsys)[1:] == ("error: rnu: there is no such command; did you mean run?\n", 2)


def test_hints_of_hydra_are_whole(tmp_path: Path) -> None:
    for words, said in (
        (["experiment=demo"], "error: experiment: is added to the other options; write +experiment=demo"),
        (
            ["seed=0,1"],
            "error: seed: 0,1 are several values; for a run with each: seed=0,1 --multirun; as a list: seed",
        ),
        (["lint", "mine.csv"], "error: task.instruction: required with mine.csv"),
    ):
        done = command(*words, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.startswith(said), done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_words_reach_hydra_in_its_order() -> None:
    given = ["reviews.json", "seed=0,1", "-m", "--config-dir", "mine", "temperature.input=1"]
    assert in_order(given, ("task",)) == [
        "-m", "--config-dir", "mine", "task=json", "task.path=reviews.json", "task.name=reviews", "seed=0,1",
        "temperature.input=1",
    ]  # fmt: skip
    assert in_order(["runs/a b", "out"], ("run", "to")) == ["run='runs/a b'", "to=out"]
    assert in_order(["table_main", "size=paper"], ("+table",)) == ["+table=table_main", "size=paper"]
    assert in_order(["--info", "searchpath", "task1516"], ("task",)) == ["--info", "searchpath", "task=task1516"]
    assert in_order(["~seed", "+x=1", "-sc", "install=bash"], ("task",)) == ["-sc", "~seed", "+x=1", "install=bash"]


def test_completion_knows_commands_groups_options_and_keys() -> None:
    assert matches("selfguide re") == ["report "]
    assert {f"{verb} " for verb in VERBS} == set(matches("selfguide "))
    assert matches("selfguide run engine=") == ["engine=hf", "engine=openai", "engine=vllm"]
    assert matches("python -m selfguide.main engine=v") == matches("python -m selfguide.main run engine=v")
    assert "temperature.input=" in matches("selfguide run seed=1 temperature.")
    assert "size=" in matches("selfguide table +table=table_main s")
    assert "+table=table_main" in matches("selfguide table +table=table_m")
    assert matches("selfguide report ") == []  # files, by the shell


@pytest.mark.slow
@pytest.mark.parametrize("program", ["selfguide", "python -m selfguide.main"])
@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_completion_works_as_printed(shell: str, program: str, tmp_path: Path) -> None:
    """In a real interactive shell: the line that the help shows, then a tab."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "bin").mkdir()
    for name, words in (("selfguide", '-c "from selfguide.main import main; main()"'), ("python", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "dumb",
        "HOME": str(tmp_path),
    }  # fmt: skip
    plain = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}[shell]
    master, slave = pty.openpty()
    command = ["setsid", "--ctty", "--wait", shell, *plain]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=tmp_path, env=environment)
    os.close(slave)
    try:
        os.write(master, f"{USE[shell]}\n".encode())
        os.write(master, b"echo re''ady\n")
        said = read_until(master, "ready\r\n")
        os.write(master, f"{program} run engine=vl\t".encode())
        assert "engine=vllm" in read_until(master, "engine=vllm"), said
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read_until(terminal: int, wanted: str, seconds: float = 240) -> str:
    said, deadline = "", time.monotonic() + seconds
    while wanted not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 65536).decode(errors="replace")
    return said

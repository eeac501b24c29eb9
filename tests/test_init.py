"""`selfguide init`: what it writes is a task as it stands, and the commands it prints run."""

import shlex
from pathlib import Path

import pytest

from selfguide.apps.init import main
from selfguide.config.overrides import in_order
from selfguide.config.validate import typed
from selfguide.tasks.load import load_task
from tests import cli
from tests.composing import composed


def test_the_commands_it_prints_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["mine"])
    lint, run = [shlex.split(line) for line in capsys.readouterr().out.splitlines() if line.startswith("selfguide ")]
    done = cli.run("selfguide.main", *lint[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mine: classification, labels positive | negative, exact_match, 3 demonstrations")
    assert run[1] == "run" and in_order(run[2:], ("task",)) == ["--config-dir", "conf", "task=mine"]


def test_an_earlier_one_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["mine", "--folder", str(tmp_path)])
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    for arguments, said in ((["mine"], "is there already"), (["a b"], "allowed: letters, digits, _, . and -, as a_b")):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--folder", str(tmp_path)])
        assert ended.value.code == 2 and said in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == before


def test_without_a_file_the_configuration_is_the_task() -> None:
    shown = "[{input: a, output: x}, {input: b, output: y}, {input: c, output: y}]"
    run = typed(composed("task=json", "task.instruction='Do it.'", f"task.demonstrations={shown}"))
    task, gold = load_task(run.task, run.data, 0)
    assert (task.instruction, task.labels, gold.is_empty) == ("Do it.", ("x", "y"), True)

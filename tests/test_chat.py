"""Both models answer what is typed or piped in."""

import io
from pathlib import Path

import pytest

from selfguide.analysis.folder import RunFolder
from selfguide.apps.chat import Chat, inputs
from selfguide.apps.run_folder import finetuned_folder
from selfguide.core.errors import DataError
from selfguide.models.build import build_engine
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.training.weights import weights_of
from tests import cli
from tests.analysis.folders import write_run
from tests.export.runs import run_with_adapter


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder.open(run_with_adapter(tmp_path_factory.mktemp("chat")))


def test_a_pipe_gets_both_answers_to_each_line(run: RunFolder) -> None:
    arguments = ("selfguide.main", "chat", f"run={run.path}", "max_new_tokens=6")
    done = cli.run(*arguments, cwd=run.path.parent, said="first\n\nsecond")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["base", "tuned", "base", "tuned"]
    assert lines[0].removeprefix("base") != lines[1].removeprefix("tuned")


def test_answers_are_those_of_the_engine_and_too_long_says_so(run: RunFolder) -> None:
    chat = Chat(
        run, load_prompt_tokenizer(run.config.model), weights_of(finetuned_folder(run), run.config.finetuning), 4
    )
    said = io.StringIO()
    with build_engine(run.config) as engine:
        assert chat.answers(engine, "first") == chat.answers(engine, "first")
        chat.talk(engine, io.StringIO("x" * 5000 + "\nfirst\n"), said)
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("too long: with this input the prompt has")
    assert [line.partition(":")[0] for line in lines[1:]] == ["base", "tuned"]


def test_lines_are_joined_by_a_backslash() -> None:
    assert list(inputs(io.StringIO("a\\\nb\n\nc\\"), None)) == ["a\nb", "c"]


def test_a_run_without_weights_is_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "finetuning=none", proposals=20, instances=10)
    with pytest.raises(DataError, match="no finetuned weights"):
        finetuned_folder(RunFolder.open(folder))

"""Every command that the documents show is run: it works, or one line says what this machine has not."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import cli
from tests.test_documented_commands import COMMANDS, ROOT

# What takes hours is run on less by tests of its own; a folder of the reader's is made by tests/test_init.py.
ELSEWHERE = ("sweep", "table", "bench", "serve", "view")
# Begun with what a reader has by then: a task of their own, a finished run, its export.
RUNS = ("runs/reviews/20260101-120000-000000", "runs/task1516/20260101-120000-000000", "runs/a")
FAST = ("debug=fast", "data.retries=0")
LESS = {
    "engine=openai": "engine.retries=0",
    "budget.steps": "budget.steps=5",
    "temperature.input=0.6,": "finetuning=none",
}
SHOWN = sorted({text for _, text in COMMANDS if text.split()[1] not in ELSEWHERE and "--config-dir" not in text})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("reader")
    (task,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for name in ("reviews.json", "mine.json"):
        (where / name).write_text(task)
    (where / "reviews.csv").write_text(
        "input,output,demonstration\nI loved it.,yes,true\nNo!,no,true\nFine.,yes,false\n"
    )
    # The first computes, the others find its stages, the last has another setting.
    for run, *more in (*((run,) for run in RUNS), ("runs/b", "finetuning=none")):
        done = cli.run("selfguide.main", "run", "debug=fast", f"hydra.run.dir={run}", *more, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


@pytest.mark.slow
@pytest.mark.parametrize("shown", SHOWN)
def test_it_works_or_says_what_is_missing(shown: str, folder: Path, tmp_path: Path) -> None:
    _, verb, *words = shlex.split(shown)
    if verb == "run" and "--help" not in words:
        words += [*FAST, *(option for part, option in LESS.items() if part in shown)]
    if verb == "init":
        folder = tmp_path  # it overwrites nothing
    if "hydra/launcher=" in shown:  # its workers import `__main__`, which a forked process has not
        program = [sys.executable, "-m", "selfguide.main", verb, *words]
        done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    else:
        done = cli.run("selfguide.main", verb, *words, cwd=folder, said="a b c\n")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 2 and len(said) == 1 and "Traceback" not in done.stderr, done.stderr
    works = not any(part in shown for part in ("task=", "task1", "task2", "model=", "teacher=", "engine=", "convert"))
    assert done.returncode == 0 or not works, done.stderr

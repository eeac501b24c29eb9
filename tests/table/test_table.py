"""The whole command: files, resuming, failures, interruption, two processes at once."""

import json
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests import cli
from tests.campaigns.scripted import write_preset
from tests.table.tables import TASKS, read_csv, write_table

ROWS = {"few_shot_icl": ["method=few_shot_icl"], "selfguide": ["method=selfguide"]}
FILES = ("results.csv", "table.csv", "table.md", "table.tex")
# It fails when it trains, not when it is composed.
MISFIT = ["method=selfguide", "finetuning.target_modules=no_such_layer"]


def start(folder: Path, *overrides: str) -> cli.Command:
    return cli.start(
        "selfguide.main", "table", "--config-dir", str(folder / "conf"), "+table=tiny", *overrides, cwd=folder
    )


def ended(process: cli.Command) -> tuple[int, str, str]:
    said, complained = process.communicate(timeout=500)
    return process.returncode, said, complained


def results(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/*/result.json")}


def scores(folder: Path) -> list[tuple[str, ...]]:
    names = ("row", "task", "seed", "status", "score", "few_shot_icl", "train_rows", "calls", "steps")
    return [tuple(line[name] for name in names) for line in read_csv(folder / "out" / "results.csv")]


def wait_for_results(folder: Path, process: cli.Command, number: int) -> None:
    """Until there are so many, or the command has ended: on a busy machine it may have been faster."""
    deadline = time.monotonic() + 400
    while len(results(folder)) < number and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert results(folder), process.communicate()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    folder = tmp_path_factory.mktemp("table")
    write_table(folder, {"misfit": MISFIT, **ROWS, "unknown": ["method=nonsense"]})
    return folder, *ended(start(folder))


@pytest.mark.slow
def test_the_files_and_the_failures(finished: tuple[Path, int, str, str]) -> None:
    folder, code, said, complained = finished
    assert code == 2, complained
    assert complained.strip().startswith("error: 8 of 16 runs failed, the first (misfit, micro_barn_or_garage, seed 0)")
    assert "Traceback" not in complained
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(FILES)
    lines = read_csv(folder / "out" / "results.csv")
    assert len(lines) == 16
    status = Counter((line["row"], line["status"]) for line in lines)
    assert status == {
        ("misfit", "failed"): 4,
        ("unknown", "failed"): 4,
        ("few_shot_icl", "ok"): 4,
        ("selfguide", "ok"): 4,
    }
    for line in lines:
        assert bool(line["reason"]) == (line["status"] == "failed")
        assert bool(line["score"]) == (line["status"] == "ok")
        if line["row"] == "selfguide":
            assert float(line["calls"]) > 0
            assert float(line["steps"]) > 0
            assert float(line["device_seconds"]) > 0
            assert float(line["kept_per_1000_calls"]) > 0
        if line["row"] == "few_shot_icl":
            assert float(line["calls"]) == float(line["steps"]) == 0
            assert line["score"] == line["few_shot_icl"]
    text = (folder / "out" / "table.md").read_text()
    assert text in said
    assert re.search(r"^\| misfit +\| +failed \|", text, re.MULTILINE)
    assert "method: there is no option 'nonsense'" in text
    # What a run prints is in its folder; the terminal is the table's.
    logs = [path.parent / "run.log" for path in results(folder)]
    assert len(logs) == 8 and all("few-shot ICL" in log.read_text() for log in logs)
    assert "synthetic pairs trained on" not in said
    assert len(list((folder / "runs").glob("*/*/failure.txt"))) == 4


@pytest.mark.slow
def test_a_run_says_the_command_that_makes_it_alone(finished: tuple[Path, int, str, str]) -> None:
    commands = [json.loads((path.parent / "details.json").read_text())["command"] for path in results(finished[0])]
    assert len(set(commands)) == 8
    for command in commands:
        assert command.startswith("selfguide run ")
        assert "+table" not in command
        assert "task=micro_" in command


@pytest.mark.slow
def test_again_runs_what_failed_and_nothing_else(finished: tuple[Path, int, str, str]) -> None:
    folder, before = finished[0], results(finished[0])
    expected = scores(folder)
    code, _, complained = ended(start(folder))
    assert code == 2, complained
    assert results(folder) == before
    assert scores(folder) == expected
    # Without its failing rows the table is whole.
    code, _, complained = ended(
        start(folder, "~rows.misfit", "~rows.unknown", "again=[few_shot_icl]", "sizes.micro.seeds=[0]", "output=less")
    )
    assert code == 0, complained
    after = results(folder)
    assert sum(after[path] != before[path] for path in before) == len(TASKS)
    assert len(read_csv(folder / "less" / "results.csv")) == 4


def write_quick_table(folder: Path) -> None:
    """One whose runs take a moment: they are answered by a script, and nothing is finetuned."""
    quick = ("engine=scripted", "finetuning=none")
    write_preset(write_table(folder, {name: [*some, *quick] for name, some in ROWS.items()}))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that two processes made together, each with files of its own."""
    folder = tmp_path_factory.mktemp("shared")
    write_quick_table(folder)
    second = start(folder, f"output={folder / 'second'}")
    for process in (start(folder), second):
        code, _, complained = ended(process)
        assert code == 0, complained
    return folder


def test_two_processes_share_the_work(shared: Path) -> None:
    assert len(results(shared)) == 8
    # A run opens its test split once: nothing was run twice.
    ledger = [json.loads(line) for line in (shared / "store" / "test_openings.jsonl").read_text().splitlines()]
    assert set(Counter(line["run"] for line in ledger).values()) == {1}
    for name in ("results.csv", "table.csv", "table.tex"):
        assert (shared / "out" / name).read_bytes() == (shared / "second" / name).read_bytes()


def test_killed_and_interrupted_it_goes_on(tmp_path: Path, shared: Path) -> None:
    write_quick_table(tmp_path)
    killed = start(tmp_path)
    wait_for_results(tmp_path, killed, 1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    first = results(tmp_path)
    stopped = start(tmp_path)
    wait_for_results(tmp_path, stopped, len(first) + 1)
    stopped.send_signal(signal.SIGINT)
    code, _, complained = ended(stopped)
    second = results(tmp_path)
    if code != 0:  # it may have been done by then
        assert code == 130, complained
        assert "Continue with: python -m selfguide.main table" in complained
        # What is there is written, and what is not is blank, not failed.
        status = Counter(line["status"] for line in read_csv(tmp_path / "out" / "results.csv"))
        assert status["not run"] == 8 - len(second) and not status["failed"]
        assert f"{len(second)} of 8 runs are finished" in (tmp_path / "out" / "table.md").read_text()
    code, _, complained = ended(start(tmp_path))
    assert code == 0, complained
    last = results(tmp_path)
    assert len(last) == 8
    assert first.items() <= second.items() <= last.items()
    assert scores(tmp_path) == scores(shared)


def test_mistakes_are_one_line_and_load_nothing_heavy(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "error: +table: no table is chosen"),
        (["+table=scaling", "size=huge"], "error: size: 'huge' is not allowed; allowed: micro | paper"),
        (["+table=scaling", "output_=x"], "output_"),
    ):
        done = cli.run("selfguide.main", "table", *arguments, cwd=tmp_path, before=cli.nothing_heavy)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_shipped_table_is_run_to_its_end(tmp_path: Path) -> None:
    one = "sizes.micro.groups.classification.tasks=[micro_paint_or_stuff]"
    small = ("evaluation.limit=20", "student.encoder.epochs=4", f"store.root={tmp_path / 'store'}")
    store = f"overrides={json.dumps(small)}"
    done = cli.run("selfguide.main", "table", "+table=zerogen", one, store, "output=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = read_csv(tmp_path / "out" / "results.csv")
    assert [(line["row"], line["status"]) for line in lines] == [
        (row, "ok") for row in ("prompting", "rows_few", "rows_some", "rows_many", "rows_most", "lstm")
    ]
    assert [line["train_rows"] for line in lines] == ["0", "25", "50", "100", "200", "200"]
    text = (tmp_path / "out" / "table.md").read_text()
    assert "Not on equal terms: " in text and "failed" not in text
    assert re.search(r"disk: about \d+\.\d GiB for 6 runs, \d+ GiB free", done.stdout)

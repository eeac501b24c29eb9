"""Tasks whose rows are in a table or a folder, and tasks without any instance."""

import json
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.types import Example, Instance
from selfguide.tasks.json_task import read_json_task
from selfguide.tasks.load import load_task
from tests.composing import run_config

TABLE = 'input,output,demonstration\n"Good, really.",positive,true\nBad.,negative,TRUE\nFine.,positive,\n'


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_csv_is_a_task(tmp_path: Path) -> None:
    task = read_json_task(written(tmp_path, "t.csv", TABLE), "t", "Positive or negative?")
    assert task.demonstrations == (Example("Good, really.", "positive"), Example("Bad.", "negative"))
    assert task.instances == (Instance("t-0", "Fine.", ("positive",)),)
    tabs = written(tmp_path, "t.tsv", "output\tinput\nx\ta, b\n")
    assert read_json_task(tabs, "t", "Do.").instances == (Instance("t-0", "a, b", ("x",)),)


def test_a_folder_is_a_task(tmp_path: Path) -> None:
    for label, text in (("good", "A."), ("bad", "B.")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(f"{text}\n")
    task = read_json_task(str(tmp_path), "t", "Do.")
    assert task.instances == (Instance("bad/1", "B.", ("bad",)), Instance("good/1", "A.", ("good",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,b\n", "has no column 'input' (columns: text, label); rename one in its first line, or map"),
        ("", "has no column 'input' (columns: none)"),
        ("input,output\na\n", "line 2: has another number of cells than the first line"),
        ("input,output\na,b,c\n", "line 2: has another number of cells"),
        ('input,output\n"a,b\n', "not valid CSV"),
        ("input,output,demonstration\na,b,maybe\n", "demonstration is 'maybe'; allowed: true or false"),
        ("input,output,id\na,b,1\nc,d,1\n", 'share the id "1"'),
    ],
)
def test_a_bad_table_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_json_task(written(tmp_path, "t.csv", text), "t", "Do.")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_needs_an_instruction(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.instruction: required with .*t\.csv"):
        read_json_task(written(tmp_path, "t.csv", TABLE), "t")


@pytest.mark.parametrize("lines", [False, True])
def test_no_instances_are_legal(lines: bool, tmp_path: Path) -> None:
    shown = [{"input": "a", "output": "yes"}, {"input": "b", "output": "no"}, {"input": "c", "output": "no"}]
    rows = [{"instruction": "Do."}, *({**row, "demonstration": True} for row in shown)]
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps({"instruction": "Do.", "examples": shown})
    path = written(tmp_path, "t.jsonl" if lines else "t.json", text)
    config = run_config("task=json", f"task.path={path}")
    task, gold = load_task(config.task, config.data, 0)
    assert gold.is_empty
    # Few demonstrations are all that tells the family: one answer that repeats.
    assert (task.family, task.labels) == ("classification", ("yes", "no"))
    with pytest.raises(DataError, match="has no instances"):
        gold.open("test")

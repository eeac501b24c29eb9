"""Inputs of the user's own are annotated, none is written; rows from a file join a method's data."""

import json
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.own_rows import read_inputs
from tests.composing import run_config
from tests.methods.running import scripted
from tests.methods.test_loop import SMALL, student, writer
from tests.shared_data import shared
from tests.tiny_task import write_task

MINE = ["Eva has the blue kite.", "Eva has the black kite.", "Tom lost a red bag.", "eva has the blue kite"]


def answering(prompt: str, seed: int, sample: int) -> str:
    assert prompt.endswith("Output:"), "no input is asked for"
    return student(prompt)


@pytest.mark.parametrize("form", ["txt", "jsonl", "json", "list"])
def test_a_run_starts_at_annotation(form: str, tmp_path: Path) -> None:
    file = tmp_path / f"mine.{form}"
    rows = [{"input": text, "output": "not read"} for text in MINE]
    content = {"txt": "\n\n".join(MINE), "jsonl": "\n".join(map(json.dumps, rows)), "json": json.dumps(rows)}
    file.write_text(content.get(form, ""))
    given = str(file) if form != "list" else "[{}]".format(",".join(f'"{text}"' for text in MINE))
    ran = scripted(
        tmp_path, answering, "method=selfguide", f"task.inputs={given}", "annotation.balance=off", loop=False
    )
    assert [(row["input"], row["output"]) for row in ran.rows("dataset")] == [
        (text, student(f"Input: {text}")) for text in MINE[:3]
    ]
    assert [row["dropped"] for row in ran.rows("candidates")] == [None, None, None, "duplicate"]
    assert ran.result["tokens"]["inputs"]["calls"] == 0
    page = (ran.folder / "report.html").read_text()
    assert "The 4 inputs were given, without outputs." in page and "wrote the inputs" not in page


def test_other_inputs_are_another_run(tmp_path: Path) -> None:
    keys = []
    for text in (MINE[0], MINE[1]):
        more = ("method=selfguide", f'task.inputs=["{text}","{MINE[2]}"]')
        keys.append(
            scripted(tmp_path, answering, *more, loop=False, name=f"run-{text[12:16]}").result["keys"]["inputs"]
        )
    assert keys[0] != keys[1]


def test_rows_of_a_file_are_seed_data(tmp_path: Path) -> None:
    released = tmp_path / "released.jsonl"
    rows = [(MINE[0], "Dark."), (MINE[2], "light"), ("A cat sat.", "neither")]
    released.write_text("\n".join(json.dumps({"input": text, "output": output}) for text, output in rows))
    more = (*SMALL, "method.initial_data.source=demonstrations", f"method.initial_data.extra_rows={released}")
    ran = scripted(tmp_path, writer, "method=loop", *more)
    shown = {
        (e["input"], e["output"]) for e in json.loads(write_task(tmp_path, classification=True).read_text())["examples"]
    }
    found = {(row["input"], row["output"]) for row in ran.rows("dataset")}
    assert found == shown | {(MINE[0], "dark"), (MINE[2], "light")}
    assert [row["dropped"] for row in ran.rows("candidates") if row.get("source") == "file"] == [None, None, "no_label"]


def test_the_documented_line_brings_released_rows_into_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real RTE rows, converted as the documentation says, are what a student is given beside the demonstrations."""
    source = shared("neighbours", "rte_train.jsonl").read_text().splitlines()[:12]
    (tmp_path / "released.jsonl").write_text("\n".join(source))
    page = Path(__file__).parents[2] / "docs" / "how_to" / "released_data.md"
    monkeypatch.chdir(tmp_path)
    exec(page.read_text().split("```python\n")[1].split("```")[0], {})
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    task = {"instruction": "Does the premise entail the hypothesis?", "examples": rows[:3], "instances": rows[3:6]}
    (tmp_path / "rte.json").write_text(json.dumps(task))
    more = ("method.initial_data.source=demonstrations", f"method.initial_data.extra_rows={tmp_path / 'rows.jsonl'}")
    ran = scripted(tmp_path, writer, "method=loop", *more, "task.family=classification", task=tmp_path / "rte.json")
    assert [(row["input"], row["output"]) for row in ran.rows("dataset")] == [(r["input"], r["output"]) for r in rows]
    assert [row["dropped"] for row in ran.rows("candidates")] == ["duplicate"] * 3 + [None] * 9


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"input": "a"}\n{"text": "b"}\n')
    with pytest.raises(DataError, match=r'bad\.jsonl: line 2: has no "input"'):
        read_inputs(str(bad))
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"empty\.txt holds no inputs"):
        read_inputs(str(tmp_path / "empty.txt"))
    with pytest.raises(DataError, match=r"task.inputs: no file .*none.txt"):
        read_inputs(str(tmp_path / "none.txt"))
    with pytest.raises(ConfigError, match=r"task\.inputs: 3 is not allowed"):
        read_inputs(3)


@pytest.mark.parametrize("method", ["zerogen", "s3", "llm2llm"])
def test_a_method_without_a_place_for_inputs_says_so(method: str) -> None:
    with pytest.raises(ConfigError, match=f"task.inputs: is not allowed with method={method}"):
        run_config(f"method={method}", "task.inputs=mine.txt")

"""JSON that is written is JSON: every parser reads it."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from selfguide.core.files import canonical_json, json_line, read_jsonl, write_json, write_jsonl, write_text


def refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_null(number: float, tmp_path: Path) -> None:
    row = {"samples": [{"logprob": number, "text": "NaN"}], "share": 0.5}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    write_json(tmp_path / "row.json", row)
    for file in tmp_path.iterdir():
        read = json.loads(file.read_text(), parse_constant=refuse)
        assert read == {"samples": [{"logprob": None, "text": "NaN"}], "share": 0.5}
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == [read]


def test_finite_numbers_stay_as_they_are() -> None:
    row = {"a": 0.1, "b": [1e-300, -0.0, 3], "c": "\u00e9"}
    assert json_line(row) == json.dumps(row, ensure_ascii=False) + "\n"


# Of what is hashed, sent, compared or said, and never read from a file again.
NO_WRITERS = {
    *(f"apps/{name}.py" for name in ("serve", "sweep/study", "sweep/finish")),
    *(f"core/{name}.py" for name in ("child", "child_server", "files")),
    *("config/explain.py", "methods/loop/transfer.py", "models/openai_http.py", "prompts/tokenization.py"),
    *("search/access_log.py", "store/manifest.py", "tasks/gold.py", "tasks/identity.py", "testing/method.py"),
    "training/weights.py",
}


def test_whoever_writes_json_writes_it_with_core_files() -> None:
    package = Path(__file__).parents[2] / "selfguide"
    files = [path for path in package.rglob("*.py") if re.search(r"json\.dumps?\(", path.read_text())]
    dumping = {str(path.relative_to(package)) for path in files}
    assert dumping <= NO_WRITERS


def test_a_file_whose_writing_fails_stays_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_canonical_json_is_one_text_a_value() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'
    with pytest.raises(ValueError):
        canonical_json({"a": math.nan})


def test_a_file_for_people_is_indented_and_keeps_its_order(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1], "a": "é"})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": [\n    1\n  ],\n  "a": "é"\n}\n'

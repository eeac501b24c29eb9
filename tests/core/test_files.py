"""JSON that is written is JSON: every parser reads it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from selfguide.core.files import json_line, read_jsonl, write_json, write_jsonl


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

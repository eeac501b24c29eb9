"""Altered task files: each is loaded, or refused in one line."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfguide.tasks.load import load_task
from tests.campaigns.junk import alter_bytes, alter_value
from tests.campaigns.tally import Tally
from tests.tasks.configs import data_config, json_task

pytestmark = pytest.mark.slow
SIZE = 8292
ROWS = [{"input": f"How much is {n} + 1?", "output": [str(n + 1), "x"][: 1 + n % 2], "id": f"i{n}"} for n in range(12)]
EXAMPLES = [{"input": "a", "output": "yes"}, {"input": "b\n", "output": ["no", "No"]}]
FORMS: dict[str, Any] = {
    "simple.json": {"instruction": "Answer.", "labels": ["yes", "no"], "examples": EXAMPLES, "instances": ROWS},
    "free.json": {"instruction": "Answer.", "examples": EXAMPLES, "instances": ROWS},
    "sni.json": {"Definition": ["Answer."], "Positive Examples": EXAMPLES, "Instances": ROWS, "Valid Input": "[a-z ]+"},
    "lines.jsonl": [
        {"instruction": "Answer."},
        *({**example, "demonstration": True} for example in EXAMPLES),
        *ROWS,
    ],
}
ODD: list[Callable[[Path], object]] = [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path), Path.touch]


def write(form: str, content: Any, path: Path) -> None:
    lines = content if form == "lines.jsonl" and isinstance(content, list) else [content]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def test_altered_task_files(tmp_path: Path, tally: Callable[[str, int], Tally]) -> None:
    counts = tally("altered task files", SIZE)
    for number in counts.numbers:
        stream = random.Random(number)
        form = stream.choice(list(FORMS))
        path = tmp_path / f"{number}-{form}"
        how = stream.random()
        if how < 0.01:
            stream.choice(ODD)(path)
        elif how < 0.5:
            write(form, FORMS[form], path)
            path.write_bytes(alter_bytes(path.read_bytes(), stream))
        else:
            write(form, alter_value(FORMS[form], stream), path)
        family = stream.choice(["auto", "classification", "generation"])
        task = json_task(path, family=family, label_extraction="first_line")
        counts.attempt((number, form), lambda task=task: load_task(task, data_config(), 0))
        if not path.is_dir():
            path.unlink()

import json
import subprocess
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.apps.lint import Finding, lint_task
from selfguide.apps.lint.report import show
from selfguide.core.types import Example, Instance, Split, TaskSpec
from selfguide.search.access_log import AccessLog
from selfguide.tasks.gold import GoldData
from selfguide.tasks.load import load_task
from tests import cli
from tests.composing import run_config
from tests.shared_data import shared


def spec(**changes: Any) -> TaskSpec:
    values: dict[str, Any] = {
        "name": "t",
        "family": "classification",
        "instruction": "Say.",
        "demonstrations": (Example("a", "yes"), Example("b", "no")),
        "labels": ("yes", "no"),
    }
    return TaskSpec(**values | changes)


def gold(task: TaskSpec, **splits: list[tuple[str, str]]) -> GoldData:
    rows: dict[Split, tuple[Instance, ...]] = {
        split: tuple(
            Instance(f"{split}-{i}", text, (output,)) for i, (text, output) in enumerate(splits.get(split, []))
        )
        for split in ("validation", "test")
    }
    return GoldData(task.name, rows, task.demonstrations)


def balanced(n: int, prefix: str = "i") -> list[tuple[str, str]]:
    return [(f"{prefix}{i}", ("yes", "no")[i % 2]) for i in range(n)]


def warnings(task: TaskSpec, **splits: list[tuple[str, str]]) -> list[str]:
    found = lint_task(task, gold(task, **splits))
    return [f"{finding.check}: {finding.message}" for finding in found if finding.severity == "warning"]


def test_a_sound_task_has_no_warnings() -> None:
    assert warnings(spec(), validation=balanced(100), test=balanced(900, "t")) == []


def test_only_notes_and_one_opening_of_each_split() -> None:
    task = spec()
    data = gold(task, validation=balanced(100), test=balanced(900, "t"))
    notes = {finding.check for finding in lint_task(task, data)}
    assert notes == {"majority floor", "detectable difference"}
    assert [opening.purpose for opening in data.openings] == ["lint", "lint"]


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        (spec(), [("a", "yes")], "demonstrations in gold: 1 of 201 test instances have a demonstration's input"),
        (spec(), [("A!", "yes")], "demonstrations in gold: 1 demonstrations equal a test input but for case"),
        (spec(), [("t1", "no")], "duplicates: 1 test instances repeat the input of another"),
        (spec(), [("t1", "yes")], "duplicates: 1 of the repeated inputs have different outputs"),
        (spec(), [("i1", "no")], "duplicates: 1 test instances have the input of a validation instance"),
        (spec(), [(" ", "no")], "empty: 1 test instances have an empty input"),
        (spec(), [("x", "perhaps")], "unknown label: 1 test references are no label, e.g. 'perhaps'"),
        (spec(), [(f"x{i}", "yes") for i in range(200)], "majority floor: always answering 'yes' scores 75.0%"),
        (spec(labels=("yes", "no", "maybe")), [], "label absent: no test instance has the label 'maybe'"),
        (spec(labels=("yes", "no", "maybe")), [], "label not shown: no demonstration has the output 'maybe'"),
        (spec(labels=("yes", "no", "No")), [], "label case: 'no' and 'No' differ only in case"),
        (spec(labels=("yes", "no", " no")), [], "label spaces: ' no' has stray white space"),
        (spec(labels=("yes", "no", "no+")), [], "labels alike: exact_match takes 'no' and 'no+' for equal"),
        (
            spec(labels=("yes", "no", "not"), label_extraction="reference"),
            [],
            "label in label: 'no' is a part of 'not'",
        ),
        (spec(noise_terms=("Y", "B")), [], "noise terms: 'B' occurs in a demonstration"),
    ],
)
def test_what_is_found(task: TaskSpec, rows: list[tuple[str, str]], message: str) -> None:
    found = warnings(task, validation=balanced(100), test=balanced(200, "t") + rows)
    assert any(line.startswith(message) for line in found), found


def test_few_instances() -> None:
    assert any(
        "n=12 on the test split: scores are accurate to ±28.3 points" in line
        for line in warnings(spec(), test=balanced(12))
    )


def test_a_label_in_a_label_is_a_note_when_whole_words_are_matched() -> None:
    task = spec(labels=("yes", "no", "not"))
    found = [
        finding for finding in lint_task(task, gold(task, test=balanced(200))) if finding.check == "label in label"
    ]
    assert [finding.severity for finding in found] == ["note"]


def test_other_scripts() -> None:
    task = spec(family="generation", labels=(), metric="rouge_l")
    found = lint_task(task, gold(task, test=[("x", "我喜欢猫")]))
    assert any(finding.check == "script" for finding in found)


def test_prompt_length() -> None:
    task = spec()
    data = gold(task, test=[*balanced(100), ("long " * 50, "yes")])

    def lengths(limit: int) -> list[Finding]:
        found = lint_task(task, data, lambda prompt: prompt.plain().split(), limit)
        return [finding for finding in found if finding.check == "prompt length"]

    assert [finding.severity for finding in lengths(1000)] == ["note"]
    assert "1 do not fit" in lengths(40)[0].message


@pytest.mark.parametrize("terminal", [True, False])
def test_shown_as_a_table_on_a_terminal_alone(terminal: bool) -> None:
    task = spec()
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    show(task, gold(task, test=balanced(4)), [Finding("warning", "check", "a [b] message " * 12)], console)
    text = out.getvalue()
    assert ("│" in text) is terminal
    assert "[b]" in text
    assert "1 warning, 0 notes" in text
    assert terminal or "warning: check: a [b] message a [b]" in text


def lint(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    arguments = ("selfguide.main", "lint", "task=json", "model=local", "model.path=none", *overrides)
    return cli.run(*arguments, cwd=folder, environment={"HOME": str(folder)})


def test_the_command(tmp_path: Path) -> None:
    document = {
        "instruction": "Say.",
        "examples": [{"input": "a", "output": "yes"}, {"input": "b", "output": "no"}],
        "instances": [{"input": text, "output": output} for text, output in [*balanced(40), ("a", "yes")]],
    }
    (tmp_path / "mine.json").write_text(json.dumps(document))
    done = lint(tmp_path, "task.path=mine.json")
    assert done.returncode == 0, done.stderr
    assert "my_task: classification, labels yes | no, exact_match, 2 demonstrations" in done.stdout
    (opening,) = AccessLog(tmp_path / "runs" / "store" / "test_openings.jsonl").rows()
    assert (opening["task"], opening["purpose"], opening["run"]) == ("my_task", "lint", "selfguide.apps.lint")
    assert "warning: demonstrations in gold: 1 of" in done.stdout
    assert "note: prompt length: not measured: model.path" in done.stdout
    # Nothing else is left behind.
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in left if "/test_openings" not in name} == {"mine.json"}


def test_the_command_with_a_mistake(tmp_path: Path) -> None:
    done = lint(tmp_path, "task.path=none.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: task.path: no file none.json\n"
    done = lint(tmp_path, "task.path=none.json", "task.labels=[yes,no,1]")
    assert done.returncode == 2
    assert done.stderr.startswith("error: task.labels")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("setting", "severity"), [("on", "warning"), ("off", "note")])
def test_the_share_of_gold_that_the_length_band_would_drop(setting: str, severity: str) -> None:
    task = spec(demonstrations=(Example("a" * 9, "yes"), Example("b" * 10, "no"), Example("c" * 11, "no")))
    rows = [("x" * (10 if index % 4 else 40) + str(index % 10), "yes") for index in range(100)]
    filters = replace(run_config("task=task1516").filters, input_length=setting, length_floor=0.0)
    found = [f for f in lint_task(task, gold(task, test=rows), filters=filters) if f.check == "length band"]
    assert [(f.severity, "25% of the test inputs" in f.message) for f in found] == [(severity, True)]
    assert "band is 8 to 12 characters" in found[0].message


@pytest.mark.parametrize(("task", "expected"), [("task121", "99%"), ("task346", "42%")])
def test_the_length_band_of_published_tasks(task: str, expected: str) -> None:
    run = run_config(f"task={task}", "protocol=paper", f"data.root={shared('sni', 'tasks')}")
    spec, data = load_task(run.task, run.data, 0)
    found = [f.message for f in lint_task(spec, data, filters=run.filters) if f.check == "length band"]
    assert any(f"{expected} of the test inputs" in text for text in found), found

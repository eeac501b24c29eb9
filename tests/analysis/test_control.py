"""The gain over the control is told wherever the gain over few-shot ICL is."""

import csv
import io
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from selfguide.analysis.compare import CONTROL
from selfguide.analysis.comparison import comma_separated, compare, markdown
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import write_report
from selfguide.analysis.tracking.shown import scalars
from selfguide.apps.table.figures import figures
from selfguide.apps.table.forms import latex
from selfguide.apps.table.forms import markdown as table_markdown
from selfguide.apps.table.grid import grid
from selfguide.apps.table.sheets import notes, sheets
from selfguide.apps.table.work import Done
from selfguide.config.table import GroupConfig, RowConfig, SizeConfig, TableConfig
from selfguide.core.files import read_jsonl, write_json, write_jsonl
from selfguide.evaluation.statistics import paired_gain
from tests.analysis.folders import write_run


def beside_an_equal_control(folder: Path) -> RunFolder:
    """A run that beats few-shot ICL, and whose control answers as well as it does."""
    run = RunFolder.open(write_run(folder, skill=1.0, base_skill=0.3, proposals=40, instances=40))
    rows = [{**row, "controls": {CONTROL: [row["tuned"], row["tuned_score"]]}} for row in run.predictions]
    write_jsonl(folder / "predictions.jsonl", rows)
    level = {"value": 0.0, "ci_low": 0.0, "ci_high": 0.0, "p": 1.0}
    more = {"controls": {CONTROL: run.result["score"]}, "gains": {CONTROL: level}}
    write_json(folder / "result.json", run.result | more)
    write_report(folder)
    return RunFolder.open(folder)


def test_result_json_has_the_paired_gain_over_the_control(tmp_path: Path) -> None:
    run = RunFolder.open(write_run(tmp_path / "run", proposals=40, instances=40))
    rows = list(read_jsonl(run.path / "predictions.jsonl"))
    tuned, control = [row["tuned_score"] for row in rows], [row["controls"][CONTROL][1] for row in rows]
    expected = paired_gain(tuned, control, resamples=200)
    assert run.result["gains"][CONTROL]["value"] == pytest.approx(expected.value)
    assert run.result["gains"][CONTROL]["p"] == pytest.approx(expected.p, abs=0.05)
    assert set(run.result["gains"][CONTROL]) == {"value", "ci_low", "ci_high", "p"}
    assert set(run.result["gains"]) == set(run.result["controls"])


def test_a_gain_that_the_control_has_too_is_not_green(tmp_path: Path) -> None:
    run = beside_an_equal_control(tmp_path / "run")
    assert run.result["gain"]["ci_low"] > 0
    headline = (run.path / "report.html").read_text().split('id="result"')[1].split("</figure>")[0]
    cards = re.findall(r'class="card stat ?([^"]*)"><span>gain ([^<]*)</span>', headline)
    assert [name for name, _ in cards] == ["", "control "]
    assert cards[1][1] == "over the control few shot finetune, points"
    better = (
        RunFolder.open(write_run(tmp_path / "better", skill=1.0, base_skill=0.3)).path / "report.html"
    ).read_text()
    assert 'card stat good"><span>gain over few-shot ICL' in better
    assert 'card stat control good"><span>gain over the control' in better


def test_comparison_and_trackers_have_it(tmp_path: Path) -> None:
    run = beside_an_equal_control(tmp_path / "run")
    tables = compare([run])
    (row,) = csv.DictReader(io.StringIO(comma_separated(tables)))
    assert float(row["gain_value"]) > 0
    assert float(row["over_control_value"]) == 0
    assert float(row["over_control_p"]) == 1
    text = markdown(tables)
    assert "over the control" in text.splitlines()[2]
    assert "finetuned on the demonstrations alone" in text
    figures = scalars(run)
    assert (figures[f"gain over {CONTROL}"], figures[f"gain over {CONTROL}/p"]) == (0, 1)


def test_without_a_control_nothing_is_said_of_one(tmp_path: Path) -> None:
    run = RunFolder.open(write_run(tmp_path / "run", "method=few_shot_icl", proposals=0, instances=20))
    assert run.result["gains"] == {}
    assert "over the control" not in markdown(compare([run])) + (run.path / "report.html").read_text()


def test_a_run_has_the_same_intervals_in_its_result_a_comparison_and_a_table(tmp_path: Path) -> None:
    run = beside_an_equal_control(tmp_path / "run")
    config = TableConfig(
        name="t", title="A table", rows={"selfguide": RowConfig("SELF-GUIDE")}, size="micro",
        sizes={"micro": SizeConfig([0], [], {"all": GroupConfig("all", ["task_a"])})},
        reference=None, overrides=[], runs="", again=[], output="", published=None,
    )  # fmt: skip
    plan = grid(config)
    (cell,) = plan.cells
    done = [Done(cell, run)]
    found = figures(plan, done)
    (table,) = compare([run])
    expected = [run.result["score"], run.result["gain"], run.result["gains"][CONTROL]]
    for figure in (found.entries["selfguide", "task_a"].figure, found.averages["selfguide", "all"],
                   table.figure(table.groups[0])):  # fmt: skip
        assert figure is not None and figure.gain is not None and figure.over_control is not None
        shown = [asdict(figure.score), asdict(figure.gain.gain), asdict(figure.over_control.gain)]
        assert shown == expected
    laid_out = sheets(config, plan, found, [])
    text = table_markdown(("A table", "command", "terms"), laid_out, notes(config, plan, found, done))
    assert "over the control" in text.split("## Averages")[1].splitlines()[2]
    assert "## Points over the control" in text
    assert "over the control" in latex(laid_out, []).split(r"\midrule")[0]


def test_two_runs_are_compared_as_a_run_is_with_its_baseline(tmp_path: Path) -> None:
    runs = [
        RunFolder.open(write_run(tmp_path / str(rank), f"temperature.input={rank}", skill=skill))
        for rank, skill in ((1, 0.9), (2, 0.4))
    ]
    (table,) = compare(runs)
    first, second = [[row["tuned_score"] for row in sorted(run.predictions, key=lambda r: r["id"])] for run in runs]
    against = table.figure(table.groups[1]).against
    assert against is not None and against.gain == paired_gain(second, first)

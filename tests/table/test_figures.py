"""What runs add up to: means, averages, intervals, tests against few-shot ICL, blanks. Runs are made up."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfguide.analysis.figures import points
from selfguide.analysis.folder import RunFolder
from selfguide.apps.table.beside import published_sheet
from selfguide.apps.table.figures import Figures, figures
from selfguide.apps.table.forms import figures_csv, latex, markdown, runs_csv
from selfguide.apps.table.grid import Grid, grid
from selfguide.apps.table.published import Published
from selfguide.apps.table.sheets import notes, sheets
from selfguide.apps.table.work import Done
from selfguide.config.table import GroupConfig, RowConfig, SizeConfig, TableConfig
from selfguide.core.errors import DataError
from tests.analysis.folders import write_run

ROWS = {"few_shot_icl": 0.3, "selfguide": 0.9, "worse": 0.05}
TASKS = {"classification": ["task_a", "task_b"], "generation": ["task_c"]}


def config(seeds: Sequence[int] = (0, 1)) -> TableConfig:
    groups = {name: GroupConfig(name, tasks) for name, tasks in TASKS.items()}
    rows = {name: RowConfig(f"row {name}") for name in ROWS}
    return TableConfig(
        name="t", title="A table", rows=rows, sizes={"micro": SizeConfig(list(seeds), [], groups)}, size="micro",
        reference="few_shot_icl", overrides=[], runs="", again=[], output="", published=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], RunFolder]:
    root = tmp_path_factory.mktemp("runs")
    found = {}
    for row, skill in ROWS.items():
        for tasks in TASKS.values():
            for task in tasks:
                for seed in (0, 1):
                    method = "few_shot_icl" if row == "few_shot_icl" else "selfguide"
                    path = write_run(
                        root / row / f"{task}-{seed}", f"method={method}", name=task, seed=seed, skill=skill,
                        base_skill=0.3, classification=task != "task_c", proposals=20, instances=30,
                    )  # fmt: skip
                    found[row, task, seed] = RunFolder(path)
    return found


def done_of(plan: Grid, folders: dict[tuple[str, str, int], RunFolder], **missing: Any) -> list[Done]:
    return [
        Done(cell, None, missing[cell.row])
        if cell.row in missing and cell.seed == 1
        else Done(cell, folders[cell.row, cell.task, cell.seed])
        for cell in plan.cells
    ]


@pytest.fixture(scope="module")
def whole(folders: dict[tuple[str, str, int], RunFolder]) -> tuple[Grid, list[Done], Figures]:
    plan = grid(config())
    done = done_of(plan, folders)
    return plan, done, figures(plan, done, "few_shot_icl")


def scores(run: RunFolder, field: str = "tuned_score") -> list[float]:
    return [row[field] for row in run.predictions]


def test_scores_are_means_over_seeds_and_instances(
    whole: tuple[Grid, list[Done], Figures], folders: dict[tuple[str, str, int], RunFolder]
) -> None:
    found = whole[2]
    for row in ROWS:
        values = {
            task: np.mean([scores(folders[row, task, seed]) for seed in (0, 1)])
            for task in ("task_a", "task_b", "task_c")
        }
        for task, value in values.items():
            figure = found.entries[row, task].figure
            assert figure is not None
            assert figure.score.value == pytest.approx(value)
            assert figure.score.ci_low <= value <= figure.score.ci_high
            assert figure.score.n == 30
        average = found.averages[row, "classification"]
        assert average.score.value == pytest.approx((values["task_a"] + values["task_b"]) / 2)
        assert average.score.n == 60
        # Two tasks tell more than one.
        widths = [
            figure.score.ci_high - figure.score.ci_low
            for task in ("task_a", "task_b")
            if (figure := found.entries[row, task].figure) is not None
        ]
        assert average.score.ci_high - average.score.ci_low < max(widths)


def test_gains_are_tested_against_few_shot_icl_and_corrected(whole: tuple[Grid, list[Done], Figures]) -> None:
    found = whole[2]
    tested = {key: entry.figure.gain for key, entry in found.entries.items() if entry.figure and entry.figure.gain}
    # Few-shot ICL is not tested against itself, nor counted in the correction.
    assert set(tested) == {(row, task) for row in ("selfguide", "worse") for task in ("task_a", "task_b", "task_c")}
    assert all(one.holm is not None and one.gain.p <= one.holm <= 6 * one.gain.p + 1e-12 for one in tested.values())
    assert any(one.holm > one.gain.p for one in tested.values() if one.holm is not None)
    better = tested["selfguide", "task_a"]
    assert better.gain.value > 0.2
    assert better.holm is not None and better.holm < 0.05
    average = found.averages["selfguide", "classification"]
    assert average.gain is not None and average.gain.holm is not None
    assert average.gain.gain.p <= better.gain.p
    assert found.averages["few_shot_icl", "classification"].gain is None


def test_a_mark_has_an_interval_without_zero(folders: dict[tuple[str, str, int], RunFolder]) -> None:
    """The gains of one seed cannot carry a mark that those of the other take back."""
    plan = grid(config())
    runs = {key: folders["worse" if key[0] == "selfguide" and key[2] else key[0], *key[1:]] for key in folders}
    found = figures(plan, [Done(cell, runs[cell.row, cell.task, cell.seed]) for cell in plan.cells])
    shown = [entry.figure for entry in found.entries.values()] + list(found.averages.values())
    gains = [figure.gain for figure in shown if figure is not None and figure.gain is not None]
    marked = [one for one in gains if one.holm is not None and one.holm < 0.05]
    assert 0 < len(marked) < len(gains)
    assert all(one.gain.ci_low * one.gain.ci_high > 0 for one in marked)
    torn = found.entries["selfguide", "task_a"].figure
    assert torn is not None and torn.gain is not None and torn.gain.gain.value > 0.1
    assert torn.gain.gain.ci_low < 0 and torn.gain not in marked


def test_the_reference_row(whole: tuple[Grid, list[Done], Figures]) -> None:
    figure = whole[2].entries["selfguide", "task_a"].figure
    assert figure is not None and figure.against is not None and figure.gain is not None
    # Its score is the baseline's of all, so both comparisons are the same.
    assert figure.against.gain.value == pytest.approx(figure.gain.gain.value)
    assert whole[2].averages["few_shot_icl", "generation"].against is None


def test_missing_and_failed_runs_stay_blank(folders: dict[tuple[str, str, int], RunFolder]) -> None:
    plan = grid(config())
    done = [
        Done(one.cell) if one.cell.task == "task_c" and one.cell.row == "worse" else one
        for one in done_of(plan, folders, selfguide="no device")
    ]
    found = figures(plan, done)
    assert ("worse", "generation") not in found.averages
    assert found.entries["worse", "task_c"].figure is None
    entry = found.entries["selfguide", "task_a"]
    assert (len(entry.runs), entry.planned, entry.failures) == (1, 2, ("no device",))
    text = markdown(
        ("A table", "command", "terms"), sheets(config(), plan, found, []), notes(config(), plan, found, done)
    )
    text = re.sub(" +", " ", text)
    generation = text.split("## generation")[1].split("##")[0]
    assert "| row worse | |" in generation
    assert "(1/2) |" in generation
    assert "Failed: selfguide, task_a, seed 1; selfguide, task_b, seed 1; selfguide, task_c, seed 1: no device" in text
    assert "13 of 18 runs are finished" in text


def test_marks_for_seed_data_alone_and_for_a_short_budget(tmp_path: Path) -> None:
    small = config([0])
    small.sizes["micro"].groups = {"one": GroupConfig("one", ["task_a"])}
    plan, done = grid(small), []
    for cell in plan.cells:
        path = write_run(tmp_path / cell.name, name=cell.task, seed=cell.seed, proposals=10, instances=5)
        result = json.loads((path / "result.json").read_text())
        if cell.row == "worse":
            result["counts"]["synthetic"] = 0
            result["budget"] = {"unit": "rows", "asked": 9, "got": 8, "equal": False}
        (path / "result.json").write_text(json.dumps(result))
        done.append(Done(cell, RunFolder(path)))
    laid_out = sheets(small, plan, figures(plan, done), [])
    for row in laid_out[1].rows:
        assert all(("‡≠" in cell) == (row[0] == "row worse") for cell in row[1:])
    assert r"$^\ddagger$$\neq$" in latex(laid_out, [])
    lines = list(csv.DictReader(io.StringIO(runs_csv(done))))
    assert {line["equal_footing"] for line in lines} == {"", "False"}
    assert {line["synthetic_rows"] == "0" for line in lines if line["row"] == "worse"} == {True}


def test_unlike_metrics_are_not_averaged(folders: dict[tuple[str, str, int], RunFolder]) -> None:
    mixed = config()
    mixed.sizes["micro"].groups = {"all": GroupConfig("all", ["task_a", "task_c"])}
    plan = grid(mixed)
    found = figures(plan, [Done(cell, folders[cell.row, cell.task, cell.seed]) for cell in plan.cells])
    assert not found.averages
    text = markdown(("", "", ""), sheets(mixed, plan, found, []), [])
    assert "task_a (exact match)" in text
    assert "task_c (ROUGE-L)" in text


def test_seeds_on_different_instances_are_refused(tmp_path: Path) -> None:
    plan = grid(config())
    runs = {
        (row, task, seed): RunFolder(
            write_run(tmp_path / f"{row}-{task}-{seed}", name=task, seed=seed, proposals=5, instances=10 + seed)
        )
        for row in ("selfguide",)
        for task in ("task_a",)
        for seed in (0, 1)
    }
    done = [Done(cell, runs.get((cell.row, cell.task, cell.seed))) for cell in plan.cells]
    with pytest.raises(DataError, match="different instances"):
        figures(plan, done)


def test_the_files(whole: tuple[Grid, list[Done], Figures]) -> None:
    plan, done, found = whole
    value = Published(
        "t", "selfguide", "classification", "exact match", "Big-7B", "a paper", gain=14.5, over="few-shot ICL"
    )
    laid_out = sheets(config(), plan, found, [value])
    said = notes(config(), plan, found, done)
    text = re.sub(" +", " ", markdown(("A table", "python -m x", "terms"), laid_out, said))
    for piece in (
        "# A table", "`python -m x`", "## classification: exact match", "↑", "↓", "kept per 1,000 calls",
        "| row selfguide | classification | gain over few-shot ICL: exact match, Big-7B | +14.5 | | +",
        "| row selfguide: exact match | a paper |", "18 of 18 runs are finished",
    ):  # fmt: skip
        assert piece in text, piece
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)
    printed = latex(laid_out, said)
    assert printed.count(r"\begin{tabular}") == printed.count(r"\end{tabular}") == len(laid_out)
    assert r"task\_a" in printed
    assert r"$\uparrow$" in printed
    assert not set("↑↓†∅‡≠") & set("\n".join(line for line in printed.splitlines() if not line.startswith("%")))
    assert len(runs_csv(done).splitlines()) == 1 + len(done)
    table = figures_csv(plan, found, [value]).splitlines()
    assert len(table) == 1 + len(ROWS) * (3 + 2)
    assert sum(",14.5," in line for line in table) == 1


GAIN = {"metric": "ROUGE-L", "source": "a paper", "gain": 9.48}
SCORE = {"metric": "exact match", "source": "a paper", "score": 27.0}
PUBLISHED = [
    Published("t", "selfguide", "classification", model="Big-7B", over="few-shot ICL", **GAIN),
    Published("t", "selfguide", "classification", model="Big-7B", over="ZeroGen", **GAIN),
    Published("t", "few_shot_icl", "task_a", model="Big-7B", **SCORE),
    Published("t", "selfguide", "GSM8K", model="Big-7B", over="few-shot ICL", **GAIN),
    Published("t", "absent", "task_a", model="Big-7B", **SCORE),
]


@pytest.mark.parametrize(
    ("name", "path", "source", "column"),
    [
        ("big_7b", "/models/x", "json", "ours, same model"),
        ("local", "someone/Big-7B", "json", "ours, same model"),
        ("micro", "micro", "micro", "bundled model"),
        ("micro", "micro", "json", "bundled model"),
        ("big_7b", "/models/x", "micro", None),  # the published model on bundled tasks
        ("big_13b", "someone/Big-13B", "json", None),
    ],
)
def test_published_values_stand_beside_the_same_model_alone(
    name: str, path: str, source: str, column: str | None, folders: dict[tuple[str, str, int], RunFolder]
) -> None:
    table = config()
    # The paper's settings are another row's: its figures are shown, not those of the published row's namesake.
    table.rows["worse"].published = "selfguide"
    plan = grid(table)
    done = []
    for cell in plan.cells:
        run = RunFolder(folders[cell.row, cell.task, cell.seed].path)
        settings = run.details["config"]
        settings["model"] |= {"name": name, "path": path}
        settings["task"]["source"] = source
        done.append(Done(cell, run))
    found = figures(plan, done)
    [sheet] = [one for one in sheets(table, plan, found, PUBLISHED) if one.title == "Published values"]
    lines = [dict(zip(sheet.header, row, strict=True)) for row in sheet.rows]
    assert [line["method"] for line in lines] == ["row selfguide"] * 2 + ["row few_shot_icl", "row selfguide", "absent"]
    assert [line["published"] for line in lines] == ["+9.48", "+9.48", "27.0", "+9.48", "27.0"]
    ours = [(line["ours, same model"], line["bundled model"], line["ours as"]) for line in lines]
    assert [ours[1], *ours[3:]] == [("", "", "")] * 3  # another baseline, another data set, no such row
    for other in {"ours, same model", "bundled model"} - {column}:
        assert not any(line[other] for line in lines)
    if column is not None:
        figure = found.averages["worse", "classification"]
        assert figure.gain is not None and figure.gain.gain.value < 0
        assert lines[0][column].startswith(f"−{-100 * figure.gain.gain.value:.1f} [")
        assert lines[0]["ours as"] == "row worse: exact match"
        score = found.entries["few_shot_icl", "task_a"].figure
        assert score is not None and lines[2][column].startswith(f"{100 * score.score.value:.1f} [")
        assert lines[2]["ours as"] == "row few_shot_icl: exact match"
    shared = [line for line in figures_csv(plan, found, PUBLISHED).splitlines() if "9.48" in line]
    assert [line.partition(",")[0] for line in shared] == ["worse"]
    assert "Big-7B" in shared[0]


@pytest.mark.parametrize("largest", [False, True])
def test_a_gain_over_another_row_on_several_tasks_stands_without_interval(
    largest: bool, whole: tuple[Grid, list[Done], Figures]
) -> None:
    plan, _, found = whole
    shared = {"metric": "exact match", "model": "Big-7B", "source": "a paper", "gain": 9.48, "largest": largest}
    tasks = ["task_a", "task_b"]
    values = [Published("t", "selfguide", on, over="row worse", **shared) for on in (tasks, [*tasks, "gsm8k"])]  # type: ignore[arg-type]
    sheet = published_sheet(config(), plan, found, values)
    ours, lost = (dict(zip(sheet.header, row, strict=True)) for row in sheet.rows)
    scores = {
        (row, task): figure.score.value
        for row in ("selfguide", "worse")
        for task in tasks
        if (figure := found.entries[row, task].figure) is not None
    }
    gains = [scores["selfguide", task] - scores["worse", task] for task in tasks]
    assert ours["bundled model"] == points(max(gains) if largest else sum(gains) / 2)
    assert ours["on"] == f"{'the best' if largest else 'mean'} of task_a, task_b"
    assert lost["bundled model"] == lost["ours, same model"] == ""

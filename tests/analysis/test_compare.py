"""Comparison of runs: grouping, statistics, refusals, and the files it writes."""

import csv
import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from selfguide.analysis.compare import Group, find_runs, one_column
from selfguide.analysis.comparison import Table, compare, markdown, sheet
from selfguide.analysis.figures import Difference, Figure, interval_of
from selfguide.analysis.folder import RunFolder
from selfguide.apps.compare import main
from selfguide.core.errors import DataError
from selfguide.evaluation.crossed import crossed_gain
from selfguide.evaluation.statistics import holm
from tests.analysis import browser
from tests.analysis.folders import write_run

SMALL = {"proposals": 20, "instances": 30}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classification tasks and one generation task, two settings, two seeds."""
    folder = tmp_path_factory.mktemp("grid")
    for seed in (0, 1):
        for rounds, skill in ((10, 0.6), (40, 0.9)):
            where = folder / f"{rounds}-{seed}"
            for name in ("task_a", "task_b"):
                write_run(where / name, f"generation.rounds={rounds}", name=name, seed=seed, skill=skill, **SMALL)
            write_run(
                where / "gen", f"generation.rounds={rounds}", name="task_gen", classification=False, seed=seed,
                skill=skill, **SMALL,
            )  # fmt: skip
    return folder


def entry(table: Table, task: str, variant: str) -> tuple[Group, Figure]:
    [group] = [group for group in table.groups if (group.task, group.variant) == (task, variant)]
    return group, table.figure(group)


def known(difference: Difference | None) -> Difference:
    assert difference is not None
    return difference


def test_seeds_are_grouped_and_metrics_kept_apart(grid: Path) -> None:
    tables = compare(find_runs([grid]))
    assert [table.column.metric for table in tables] == ["exact_match", "rouge_l"]
    first = tables[0]
    assert first.variants == ("selfguide, generation.rounds=10", "selfguide, generation.rounds=40")
    assert [group.seeds for group in first.groups] == [(0, 1)] * 4
    assert first.tasks == ("task_a", "task_b")


def test_figures_are_those_of_the_statistics(grid: Path) -> None:
    table = compare(find_runs([grid]))[0]
    first, second = table.variants
    group, figure = entry(table, "task_a", second)
    rows = [json.loads((grid / f"40-{seed}" / "task_a" / "result.json").read_text()) for seed in (0, 1)]
    baseline, gain, against = interval_of([group], "baseline"), known(figure.gain), known(figure.against)
    assert figure.score.value == pytest.approx(np.mean([r["score"]["value"] for r in rows]))
    assert baseline.value == pytest.approx(rows[0]["baseline"]["value"])
    assert gain.gain.value == pytest.approx(figure.score.value - baseline.value)
    assert figure.score.ci_low <= figure.score.value <= figure.score.ci_high
    assert gain.gain == crossed_gain([group.scores - group.baselines])
    tested = [known(entry(table, task, second)[1].gain) for task in table.tasks]
    assert [one.holm for one in tested] == pytest.approx(holm([one.gain.p for one in tested]))
    other, its = entry(table, "task_a", first)
    assert against.gain.value > 0 and its.against is None
    assert against.gain == crossed_gain([group.scores - other.scores])
    scores = [entry(table, task, second)[1].score.value for task in table.tasks]
    assert table.averages[second, "mean"].score.value == pytest.approx(np.mean(scores))


def test_the_interval_of_a_run_is_the_same_in_a_comparison(tmp_path: Path) -> None:
    for skill in (0.7, 1.0):
        run = RunFolder(write_run(tmp_path / str(skill), skill=skill, **SMALL))
        [table] = compare([run])
        score = table.figure(table.groups[0]).score
        assert dataclasses.asdict(score) == run.result["score"]
        assert dataclasses.asdict(interval_of(table.groups, "baseline")) == run.result["baseline"]
    assert score.ci_low < score.value == score.ci_high == 1


def test_unlike_metrics_and_instances_are_refused(grid: Path, tmp_path: Path) -> None:
    runs = [RunFolder(grid / "10-0" / "task_a"), RunFolder(grid / "10-0" / "gen")]
    with pytest.raises(DataError, match=r"measures exact_match.* measures rouge_l.*cannot share a column"):
        one_column(runs)
    fewer = write_run(tmp_path / "fewer", "generation.rounds=20", name="task_a", proposals=20, instances=20)
    with pytest.raises(DataError, match="different instances"):
        compare([runs[0], RunFolder(fewer)])
    read_otherwise = write_run(tmp_path / "rule", "evaluation.decoding=constrained", name="task_a", **SMALL)
    assert len(compare([runs[0], RunFolder(read_otherwise)])) == 2


def test_one_run_twice_counts_once_but_two_runs_of_one_seed_do_not_mix(grid: Path, tmp_path: Path) -> None:
    run = RunFolder(grid / "10-0" / "task_a")
    assert len(compare([run, run])[0].groups) == 1
    other = write_run(tmp_path / "other", "generation.rounds=10", name="task_a", skill=0.1, **SMALL)
    with pytest.raises(DataError, match="not the same run"):
        compare([run, RunFolder(other)])


def test_the_command_writes_page_tables_and_plots(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(grid), "--to", str(tmp_path / "out")])
    names = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert {"comparison.html", "comparison.md", "comparison.csv", "comparison.tex"} <= names
    assert {"plots/gains.svg", "plots/scaling.svg", "plots/gains-2.svg", "plots/scaling-2.svg"} <= names
    for name in ("gains", "scaling"):
        drawn = (tmp_path / "out" / "plots" / f"{name}.svg").read_text()
        # A file of its own: well-formed, with its colours, nothing left for a page to say.
        assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
        assert "task_a" in drawn and "#3b6fd4" in drawn and "var(" not in drawn
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["metric"] for row in rows} == {"exact_match", "rouge_l"}
    assert "task_a" in capsys.readouterr().out
    latex = (tmp_path / "out" / "comparison.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 2 and r"task\_a" in latex


def test_an_unfrozen_run_is_marked_in_every_table(tmp_path: Path) -> None:
    for name in ("task_a", "task_b"):
        write_run(tmp_path / "runs" / name, name=name, proposals=5, instances=20)
    file = tmp_path / "runs" / "task_a" / "result.json"
    said = {}
    for frozen in (None, False):
        file.write_text(json.dumps({**json.loads(file.read_text()), "frozen": frozen, "lock": None}))
        out = tmp_path / str(frozen)
        main([str(tmp_path / "runs"), "--no-plots", "--to", str(out)])
        said[frozen] = {form: (out / f"comparison.{form}").read_text() for form in ("md", "tex", "html", "csv")}
    # The row, the mean over the tasks and what the word means; on the page also the list of runs.
    for form, count in (("md", 3), ("tex", 2), ("html", 4)):
        assert said[False][form].count("UNFROZEN") == count and "UNFROZEN" not in said[None][form], form
    assert [row["frozen"] for row in csv.DictReader(said[False]["csv"].splitlines())] == ["false", ""]
    assert "not due" in said[None]["html"]


def test_plots_are_the_same_each_time(grid: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        main([str(grid / "10-0"), str(grid / "40-0"), "--to", str(tmp_path / name)])
    one, two = ((tmp_path / name / "plots" / "gains.svg").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_filter_ablation_is_drawn(tmp_path: Path) -> None:
    for noise in ("true", "false"):
        write_run(tmp_path / "runs" / noise, f"filters.noise={noise}", skill=0.7, **SMALL)
    main([str(tmp_path / "runs"), "--to", str(tmp_path / "out")])
    assert (tmp_path / "out" / "plots" / "ablation.svg").exists()
    assert not (tmp_path / "out" / "plots" / "scaling.svg").exists()


@pytest.mark.browser
def test_the_comparison_page_in_a_browser(grid: Path, tmp_path: Path) -> None:
    main([str(grid), "--to", str(tmp_path / "out")])
    driver = browser.start(tmp_path / "profile")
    try:
        browser.resize(driver, 360)
        driver.get((tmp_path / "out" / "comparison.html").as_uri())
        assert browser.console(driver) == []
        assert driver.execute_script("return document.querySelectorAll('table').length") == 3
        broken = "return [...document.images].filter(image => !image.naturalWidth || !image.alt).length"
        assert driver.execute_script(broken) == 0
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        driver.quit()


def test_markdown_and_latex_escape(tmp_path: Path) -> None:
    run = RunFolder(write_run(tmp_path / "run", name="a|b_c%", **SMALL))
    said = markdown(compare([run]))
    assert r"a\|b_c%" in said
    shown = sheet(compare([run])[0])
    assert all(len(row) == len(shown.header) for row in shown.rows)


def test_no_runs_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path)])
    assert stopped.value.code == 2
    assert "no finished run" in capsys.readouterr().err


def test_variants_are_drawn_against_their_cost(grid: Path, tmp_path: Path) -> None:
    main([str(grid), "--to", str(tmp_path / "both")])
    drawn = (tmp_path / "both" / "plots" / "cost.svg").read_text()
    assert drawn.count("<circle") == 2 and "device seconds a run" in drawn
    main([str(grid / "10-0"), "--to", str(tmp_path / "single")])
    assert not (tmp_path / "single" / "plots" / "cost.svg").exists()

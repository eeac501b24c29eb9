"""The run report in a real browser, from disk: it renders, filters, stays quiet and runs nobody else's script."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfguide.analysis.html import write_report
from tests.analysis import browser
from tests.analysis.folders import write_run

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    "<!--<script>",
    "]]></script><svg onload=window.hacked=4>",
    "{{ 7 * 7 }} {% raw %} ${window.hacked=5}",
    "\u2028window.hacked = 6\u2029 \x00 \x1b[31m \ud800 \u202eright to left",
    "javascript:window.hacked=7",
    "' onmouseover='window.hacked=8' \" autofocus onfocus=\"window.hacked=9",
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = browser.start(tmp_path_factory.mktemp("profile"))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", proposals=300, instances=80)


def opened(driver: Any, folder: Path, width: int = 1280) -> Any:
    browser.resize(driver, width)
    driver.get((folder / "report.html").absolute().as_uri())
    assert driver.execute_script("return document.documentElement.dataset.ready") == "yes"
    return driver


def count(driver: Any, selector: str) -> int:
    return int(driver.execute_script("return document.querySelectorAll(arguments[0]).length", selector))


def choose(driver: Any, name: str, field: str, value: str) -> str:
    """Set a filter as a user does, and return what the page says it found."""
    script = """
        const form = document.querySelector(`form[data-list="${arguments[0]}"]`), field = form.elements[arguments[1]];
        field.value = arguments[2];
        field.dispatchEvent(new Event("input", {bubbles: true}));
        return form.querySelector("output").textContent;
    """
    return str(driver.execute_script(script, name, field, value))


def test_renders_quietly_and_asks_for_nothing(driver: Any, folder: Path) -> None:
    opened(driver, folder)
    assert browser.console(driver) == []
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert "task_a" in driver.title
    assert count(driver, "svg[role=img]") >= 8
    for section in ("result", "data-autopsy", "candidates", "training", "evaluation", "cost", "reproduce"):
        assert count(driver, f"section#{section} h2") == 1, section


def test_every_chart_has_a_name_and_its_numbers(driver: Any, folder: Path) -> None:
    opened(driver, folder)
    assert count(driver, "svg[role=img]:not([aria-label])") == 0
    assert count(driver, "figure:not(:has(figcaption))") == 0
    assert count(driver, "details.numbers table") >= 7
    unlabelled = "return [...document.querySelectorAll('select,input')].filter(e => !e.closest('label')).length"
    assert driver.execute_script(unlabelled) == 0


def test_candidate_filters_agree_with_the_file(driver: Any, folder: Path) -> None:
    opened(driver, folder)
    rows = [json.loads(line) for line in (folder / "candidates.jsonl").read_text().splitlines()]
    kept = sum(row["dropped"] is None for row in rows)
    duplicates = sum(row["dropped"] == "duplicate" for row in rows)
    assert choose(driver, "candidates", "fate", "kept") == f"{kept} of {len(rows)}"
    assert count(driver, "#candidates-list .item") == min(kept, 25)
    assert count(driver, "#candidates-list .item.dropped") == 0
    assert choose(driver, "candidates", "fate", "duplicate") == f"{duplicates} of {len(rows)}"
    choose(driver, "candidates", "fate", "")
    amber = sum("amber" in row["input"] or "amber" in (row["output"] or "") for row in rows)
    assert choose(driver, "candidates", "text", "  AMBER ") == f"{amber} of {len(rows)}"
    assert choose(driver, "candidates", "text", "no such text") == f"0 of {len(rows)}"
    assert count(driver, "#candidates-list .item") == 0
    choose(driver, "candidates", "text", "")
    first = driver.execute_script("return document.querySelector('#candidates-list .item').textContent")
    driver.execute_script("document.querySelector('#candidates-pager button:last-of-type').click()")
    assert first != driver.execute_script("return document.querySelector('#candidates-list .item').textContent")
    assert "26–50" in driver.execute_script("return document.getElementById('candidates-pager').textContent")


def test_cases_are_closed_and_filter_by_outcome(driver: Any, folder: Path) -> None:
    opened(driver, folder)
    assert driver.execute_script("return document.getElementById('gold').open") is False
    driver.execute_script("document.querySelector('#gold > summary').click()")
    assert driver.execute_script("return document.getElementById('gold').open") is True
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    better = sum(row["tuned_score"] > row["baseline_score"] for row in rows)
    wrong = sum(row["tuned_score"] < 1 for row in rows)
    differ = sum(row["tuned"] != row["baseline"] for row in rows)
    assert choose(driver, "cases", "kind", "differ") == f"{differ} of {len(rows)}"
    assert choose(driver, "cases", "kind", "better") == f"{better} of {len(rows)}"
    assert count(driver, "#cases-list .item.better") == min(better, 25)
    assert choose(driver, "cases", "kind", "errors") == f"{wrong} of {len(rows)}"
    assert count(driver, "#cases-list .item .near li") >= 1


def test_a_phone_needs_no_sideways_scrolling(driver: Any, folder: Path) -> None:
    opened(driver, folder, width=360)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_text_of_a_model_never_runs(driver: Any, tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "hostile", "finetuning=none", classification=False, texts=HOSTILE, proposals=150, instances=40
    )
    other = write_run(tmp_path / "labels", texts=HOSTILE, labels=HOSTILE[:4], proposals=150, instances=40)
    for run in (folder, other):
        opened(driver, run)
        driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for fate in ("kept", "empty", "duplicate", ""):
            choose(driver, "candidates", "fate", fate)
        choose(driver, "cases", "kind", "")
        assert driver.execute_script("return typeof window.hacked") == "undefined"
        assert count(driver, "script") == 2
        assert count(driver, "img, iframe, object, embed, [onerror], [onload], [onfocus]") == 0
        assert browser.console(driver) == []
        shown = driver.execute_script("return document.body.textContent")
        assert "<script>window.hacked = 1</script>" in shown


def test_the_policy_refuses_an_injected_script(driver: Any, folder: Path) -> None:
    opened(driver, folder)
    driver.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.hacked = 1";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 2'>");
    """)
    assert driver.execute_script("return typeof window.hacked") == "undefined"
    assert any("Content Security Policy" in message for message in browser.console(driver))


def test_without_gold_no_evaluation_text_is_in_the_page(driver: Any, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", proposals=60, instances=20)
    assert re.search(r"gold\d+ ", (folder / "report.html").read_text())
    write_report(folder, gold=False)
    assert not re.search(r"gold\d+ ", (folder / "report.html").read_text())
    opened(driver, folder)
    assert browser.console(driver) == []
    assert count(driver, "#evaluation") == 0


@pytest.mark.parametrize("finetuning", ["none", "lora"])
def test_other_kinds_of_runs_render(driver: Any, tmp_path: Path, finetuning: str) -> None:
    folder = write_run(tmp_path / "run", f"finetuning={finetuning}", classification=False, proposals=40, instances=10)
    opened(driver, folder)
    assert browser.console(driver) == []
    empty = write_run(tmp_path / "few", "method=few_shot_icl", proposals=0, instances=10)
    opened(driver, empty)
    assert browser.console(driver) == []
    assert count(driver, "#data-autopsy") == 0

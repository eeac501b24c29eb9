"""The page of a sweep: what is drawn, and nothing that a screen of any width cuts off."""

import itertools
import re
from pathlib import Path

import pytest

from selfguide.apps.sweep.charts import coordinates, front, pareto
from selfguide.apps.sweep.page import render_sweep
from selfguide.search.objective import Objective
from selfguide.search.results import JobResult
from selfguide.search.summary import Summary, TrialRow
from tests.analysis import browser

TASKS = [f"a_task_with_a_long_name_{number}" for number in range(7)]
KEYS = {
    "temperature.input": [0.6, 0.8, 1.0],
    "finetuning.added_demonstrations": [0, 4],
    "annotation.annotator": ["base", "few_shot_finetuned"],
    "annotation.conditioning_label_weight": [0, 20],
    "filters.input_length": ["on", "off"],
}


def summary() -> Summary:
    """Twelve settings on seven tasks; the later the dearer, every third stopped, the last failed."""
    rows = []
    for number in range(12):
        setting = {key: values[number % len(values)] for key, values in KEYS.items()}
        state = "failed" if number == 11 else "pruned" if number % 3 == 2 else "finished"
        ran = TASKS[: 3 if state == "pruned" else 0 if state == "failed" else 7]
        score = 0.5 + 0.03 * (number % 5)
        results = {
            (task, 0): JobResult(task, 0, score, baseline=0.4, scores=(score,) * 20, seconds=10.0 + number)
            for task in ran
        }
        error = "x" * 300 if state == "failed" else None
        rows.append(TrialRow(number, number, setting, results, state, error))
    objective = Objective("worst_score", (0,), {}, resamples=100)
    return Summary("a_sweep_with_a_name_of_some_length-0123456789ab", TASKS, list(KEYS), objective, "exact", rows)


def test_every_setting_is_a_line_and_the_winner_is_the_last() -> None:
    shown = summary()
    drawn = re.findall(r'<polyline class="(.*?)".*?<title>trial (\d+):', str(coordinates(shown)))
    assert sorted(int(number) for _, number in drawn) == list(range(11))
    assert shown.winner is not None and drawn[-1] == ("s2 thick", str(shown.winner.number))


def test_the_front_holds_what_nothing_cheaper_beats() -> None:
    shown = summary()
    rows = sorted(shown.finished, key=lambda row: row.seconds)
    best = pareto(rows, shown)
    for row in rows:
        beaten = any(other.seconds <= row.seconds and shown.value(other) >= shown.value(row) for other in best)
        assert beaten, "by itself, if it is on the front"
    for row, dearer in itertools.pairwise(best):
        assert row.seconds < dearer.seconds and shown.value(row) < shown.value(dearer)
    assert str(front(shown)).count("<circle") == len(rows)


@pytest.mark.browser
def test_no_width_cuts_anything_off(tmp_path: Path) -> None:
    page = tmp_path / "sweep_report.html"
    page.write_text(render_sweep(summary()), encoding="utf-8")
    wider = (
        "return [...document.querySelectorAll('body, .card, pre, table, td, li')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != 'inline')"
        ".map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))"
    )
    driver = browser.start(tmp_path / "profile")
    try:
        grounds = set()
        for width in (360, 768, 1280):
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
                browser.resize(driver, width)
                driver.get(page.as_uri())
                driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
                assert driver.execute_script("return document.documentElement.scrollWidth") <= width
                assert driver.execute_script(wider) == []
                grounds.add(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
            assert browser.console(driver) == []
        assert len(grounds) == 2
        command = driver.execute_script("return document.querySelector('pre.command').textContent")
        assert all(key in command for key in KEYS)
    finally:
        driver.quit()

"""`sweep_report.html`: one offline page; no script, no fonts, nothing fetched."""

from typing import Any

from selfguide.analysis.charts import Bar, bars
from selfguide.analysis.html import render
from selfguide.apps.sweep.charts import coordinates, front, history
from selfguide.search.optimism import Optimism
from selfguide.search.results import describe
from selfguide.search.summary import Summary, TrialRow, cells, columns, finalist_table, worst

KINDS = {
    "worst_score": "the minimum over tasks of the score",
    "worst_gain": "the minimum over tasks of the gain over few-shot prompting",
    "lcb": "the lower confidence bound of the minimum over tasks of the score",
}
HEATS = 5  # classes of the page's style, pale to full


def render_sweep(summary: Summary) -> str:
    """The whole page."""
    winner = summary.winner
    gain = worst(winner.all_results, summary, gain=True) if winner else None
    shares = [Bar(key, share, f"{share:.2f}") for key, share in summary.importance.items()]
    finalists = finalist_table(summary)
    return render(
        "sweep.html.j2",
        None,
        summary=summary,
        winner=winner,
        kind=KINDS[summary.objective.kind],
        score=worst(winner.all_results, summary, gain=False) if winner else None,
        gain=gain,
        describe=describe,
        history=history(summary),
        coordinates=coordinates(summary),
        front=front(summary),
        header=columns(summary),
        rows=[{"winner": row is winner, "cells": _cells(summary, row)} for row in summary.rows],
        finalists=(
            finalists[0],
            [{"winner": False, "cells": [{"text": text, "heat": None} for text in row]} for row in finalists[1:]],
        )
        if finalists
        else None,
        importance=bars("Importance of the searched keys", shares),
        savings=_savings(summary),
        optimism=_optimism(summary),
        failed=[row for row in summary.rows if row.error],
    )


def _cells(summary: Summary, row: TrialRow) -> list[dict[str, Any]]:
    """A row's cells; a task's score has a heat from its lowest to its highest in the sweep."""
    shown: list[dict[str, Any]] = [{"text": text, "heat": None} for text in cells(summary, row)]
    for index, task in enumerate(summary.tasks, 1 + len(summary.keys)):
        score = summary.objective.task_score(row.results, task)
        scores = [s for r in summary.rows if (s := summary.objective.task_score(r.results, task)) is not None]
        if score is None:
            shown[index] = {"text": "·", "heat": None}
            continue
        low, high = min(scores), max(scores)
        shown[index]["heat"] = round(HEATS * (score - low) / (high - low)) if high > low else HEATS // 2
    return shown


def _savings(summary: Summary) -> list[str]:
    saved = summary.racing_savings
    spent = sum(row.seconds for row in summary.rows)
    kept = sum(row.saved_seconds for row in summary.rows)
    return [
        f"Racing ({summary.racing}): {saved.ran} of all {saved.full} jobs ran, {saved.share:.0%} saved.",
        f"Store: stages that once took {kept:.0f} s were found, {spent:.0f} s were computed.",
    ]


def _optimism(summary: Summary) -> list[str]:
    luck, winner = summary.optimism, summary.winner
    if luck is None or winner is None:
        return ["Unknown: the jobs left no scores per instance."]
    sizes = {
        task: max(len(result.scores) for result in winner.all_results.values() if result.task == task)
        for task in luck.deciding
    }
    small = min(sizes, key=lambda task: sizes[task])
    deciding = ", ".join(f"{task} {share:.0%}" for task, share in luck.deciding.items() if share > 0)
    said = [
        f"Smallest {'gain' if summary.objective.kind == 'worst_gain' else 'score'} as measured: {luck.measured:.3f} "
        f"(bootstrap {summary.objective.confidence:.0%} interval {luck.low:.3f} to {luck.high:.3f}).",
        f"Selection optimism: {luck.optimism:+.3f}; {expected(luck)}.",
        f"Which task decides, over resamples: {deciding}.",
    ]
    if luck.deciding[small] > 0.5 and sizes[small] < 50:
        said.append(f"Caution: {small} decides most comparisons and has {sizes[small]} instances only.")
    return [
        *said,
        f"Bootstrap over instances{'' if luck.seed_sd is None else ' and trainings'}, repeating the choice among "
        f"the {luck.settings} admissible settings; one stopped by racing counts with the tasks it ran.",
    ]


def expected(luck: Optimism) -> str:
    """What a fresh measurement is expected to give, and what is not known of it."""
    if luck.seed_sd is None or luck.one_training is None:
        return (
            f"expect {luck.corrected:.3f} on fresh instances with these trainings; no setting ran with two seeds, so "
            "the luck of a training is not counted (sweep.confirm)"
        )
    return (
        f"expect {luck.corrected:.3f} on fresh instances and trainings, {luck.one_training:.3f} from one training "
        f"(between trainings a task's score has a standard deviation of {luck.seed_sd:.3f})"
    )

"""The end of a sweep: winner, table, report, and the frozen setting."""

import contextlib
import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import create_trial

from selfguide.analysis.result import git_state, versions
from selfguide.apps.sweep.binding import frozen_values
from selfguide.apps.sweep.page import expected, render_sweep
from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.study import ERROR, StudyLink, confirmed_of, origin, results_of
from selfguide.apps.sweep.view import STATES, View
from selfguide.core.errors import ConfigError
from selfguide.core.files import write_text
from selfguide.search.fingerprint import fingerprint
from selfguide.search.frozen_config import VERSION, FrozenConfig, load
from selfguide.search.results import describe
from selfguide.search.sampler import LOST, setting_of
from selfguide.search.summary import Summary, TrialRow, columns, markdown
from selfguide.search.summary import cells as row_cells

TABLE, REPORT, LOCK = "trials.md", "sweep_report.html", "lock.yaml"


def finish(plan: Plan, link: StudyLink, view: View) -> float | None:
    """Write what the sweep gave; returns the winner's value, or None if there is no winner."""
    summary = _report(plan, link, view)
    if link.others_working():
        view.say("other sweepers are still working on this study; the last one will freeze its winner")
        return None
    winner = summary.winner
    if winner is None:
        view.say("no finished setting is above every floor: nothing is frozen")
        return None
    view.say(f"winner: trial {winner.number}, value {summary.final_value(winner):.3f}: {describe(winner.setting)}")
    if (luck := summary.optimism) is not None:
        view.say(f"smallest task {luck.measured:.3f}, selection optimism {luck.optimism:+.3f}: {expected(luck)}")
    if plan.binding.native:
        _freeze(plan, summary, winner, view)
    return summary.final_value(winner)


def stop_early(plan: Plan, link: StudyLink, view: View) -> None:
    """Interrupted, or too many failures: write and show what there is; nothing is frozen."""
    # What ended the sweep is what must be said: no error here may take its place.
    with contextlib.suppress(Exception):
        _report(plan, link, view)


def _report(plan: Plan, link: StudyLink, view: View) -> Summary:
    summary = summarise(plan, link)
    write_text(plan.folder / TABLE, markdown(summary))
    write_text(plan.folder / REPORT, render_sweep(summary))
    view.terminal.table(plan.study, columns(summary), [row_cells(summary, row) for row in summary.rows])
    saved = summary.racing_savings
    view.say(f"racing ({plan.knobs.racing}): {saved.ran} of {saved.full} jobs ran, {saved.share:.0%} saved")
    view.say(f"report: {plan.folder / REPORT}")
    return summary


def summarise(plan: Plan, link: StudyLink) -> Summary:
    """The study as plain data."""
    rows = [
        TrialRow(
            number=trial.number,
            origin=origin(trial),
            setting=setting_of(trial),
            results=results_of(trial),
            state=STATES[trial.state],
            error=trial.user_attrs.get(ERROR),
            confirmed=confirmed_of(link.study, origin(trial)) if plan.final is not None else {},
        )
        for trial in link.trials()
        if LOST not in trial.user_attrs
    ]
    return Summary(
        study=plan.study,
        tasks=plan.knobs.tasks,
        keys=list(plan.space.distributions),
        objective=plan.objective,
        racing=plan.knobs.racing,
        rows=rows,
        final=plan.final,
        importance=importance_of(rows, plan),
    )


def importance_of(rows: Sequence[TrialRow], plan: Plan) -> dict[str, float]:
    """Of every searched key, by PED-ANOVA; a stopped trial has its running minimum, as the survivors alone mislead."""
    study = optuna.create_study(direction="maximize")
    values = set()
    for row in rows:
        if row.state in ("finished", "pruned"):
            values.add(value := plan.objective.value(row.results, plan.knobs.tasks))
            study.add_trial(create_trial(params=dict(row.setting), distributions=plan.space.distributions, value=value))
    if len(values) < 3:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(optuna.importance.get_param_importances(study))
        except (ValueError, RuntimeError, ZeroDivisionError):
            # Too little variation for an analysis of variance.
            return {}


def _freeze(plan: Plan, summary: Summary, winner: TrialRow, view: View) -> None:
    lock = FrozenConfig(_content(plan, summary, winner))
    here = plan.folder / LOCK
    # The same winner again keeps its frozen setting, date and hash.
    if _lasting(_content_of(here)) != _lasting(lock.content):
        lock.write(here)
    view.say(f"frozen: {here}")
    if plan.knobs.record is None:
        return
    record = Path(plan.knobs.record)
    there = record / LOCK
    if there.exists() and not plan.knobs.replace_frozen_config:
        study = _content_of(there).get("study", {}).get("name", "unreadable")
        if study != plan.study:
            view.say(
                f"{there} is the frozen setting of another study ({study}) and stays (sweep.replace_frozen_config=true)"
            )
            return
    record.mkdir(parents=True, exist_ok=True)
    for name in (TABLE, REPORT, LOCK):
        # Whole or not at all: a torn frozen setting would be taken for another study's.
        write_text(record / name, (plan.folder / name).read_text(encoding="utf-8"))
    view.say(f"recorded: {there}; use it with frozen_config={record}")


def _content(plan: Plan, summary: Summary, winner: TrialRow) -> dict[str, Any]:
    frozen = frozen_values(plan.knobs, plan.compose, winner.setting)
    # As plain JSON.
    bound, frozen = json.loads(json.dumps([plan.binding.content, frozen]))
    for task, known in frozen["tasks"].items():
        score = (plan.final or plan.objective).task_score(winner.all_results, task)
        assert score is not None
        known["score"] = round(score, 6)
    luck = summary.optimism
    return {
        "version": VERSION,
        "name": plan.knobs.name,
        "setting": dict(winner.setting),
        "objective": {
            **bound["objective"],
            "value": round(summary.final_value(winner), 6),
            "seeds_of_finalists": sorted({seed for _, seed in winner.all_results}),
            "finalists": len(summary.finalists),
            "expected_on_fresh_instances": None if luck is None else round(luck.corrected, 6),
            "expected_of_one_training": _rounded(luck.one_training if luck is not None else None),
        },
        "tasks": {known["task"]: known for known in frozen["tasks"].values()},
        "test_tasks": {known["task"]: known for known in frozen["test_tasks"].values()},
        "data": bound["data"],
        # What the winner was made of: `selfguide store gc` keeps it.
        "stages": sorted({key for result in winner.all_results.values() for key in _stages(Path(result.folder))}),
        **{name: frozen[name] for name in ("model", "engine", "teacher", "encoder") if name in frozen},
        "study": {
            "name": plan.study,
            "space": bound["space"],
            "space_hash": fingerprint({"space": bound["space"]}),
            "finished": len(summary.finished),
            "pruned": len(summary.decided) - len(summary.finished),
        },
        "values": frozen["values"],
        "versions": versions(),
        "git": git_state(),
        "frozen": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _stages(run: Path) -> list[str]:
    file = run / "result.json"
    return list(json.loads(file.read_text(encoding="utf-8")).get("keys", {}).values()) if file.exists() else []


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _content_of(path: Path) -> dict[str, Any]:
    try:
        return dict(load(path).content)
    except ConfigError:
        return {}


def _lasting(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in ("frozen", "git", "versions", "stages")}

"""The small table at the end of a run, and where everything is."""

from pathlib import Path

from selfguide.analysis.description import describe, pairs_used
from selfguide.analysis.result import RunRecord, counts, drops
from selfguide.core.console import Terminal
from selfguide.core.types import TaskSpec
from selfguide.evaluation.columns import official_column, reference_column
from selfguide.evaluation.evaluate import Evaluated
from selfguide.evaluation.statistics import Gain

# Those that a method or a setting does not leave are not named.
FILES = (
    "report.html", "result.json", "details.json", "predictions.jsonl", "candidates.jsonl", "dataset.jsonl",
    "adapter/", "model/", "run.log",
)  # fmt: skip
BLANK = ("", "")
READ = {
    "exact": "the answer that is a label",
    "first_line": "the label in the first line",
    "last_occurrence": "the label named last",
    "reference": "the label that the reference finds",
}
NOTHING_MEASURED = "the task has no instances, so nothing was measured; add some to see whether the model improved"


def print_summary(record: RunRecord, folder: Path, terminal: Terminal) -> None:
    """Scores with intervals, floors, the gain, warnings repeated, paths."""
    if record.base is None or record.tuned is None or record.gain is None:
        terminal.say(f"{record.task.name}: {NOTHING_MEASURED}")
    else:
        _print_scores(record, record.base, record.tuned, record.gain, terminal)
    _print_about(record, terminal)
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    terminal.say(f"files: {shown}/ ({', '.join(name for name in FILES if (folder / name).exists())})")


def _print_scores(record: RunRecord, base: Evaluated, tuned: Evaluated, gain: Gain, terminal: Terminal) -> None:
    task, method = record.task, record.config.method.name
    official, reference = official_column(task), reference_column(task)
    beside = {
        name: tuple(_percent(record.columns[column][name].score.value) for column in (official, reference))
        for name in record.columns.get(official, ())
    }
    rows = [(*_row("few-shot ICL (base model)", base), *beside.get("few_shot_icl", BLANK))]
    rows += [
        (*_row(f"{name} (control)", control), *beside.get(name, BLANK)) for name, control in record.controls.items()
    ]
    if method != "few_shot_icl":
        rows.append((*_row(method, tuned), *beside.get(method, BLANK)))
    rows += [(*_row(f"{method}, {name}", epoch), *BLANK) for name, epoch in record.epochs.items()]
    for column, variants in record.columns.items():
        if not column.startswith(("official_", "reference_")):
            named = column.replace("_", " ")
            rows += [(*_row(f"{named}: {name}", evaluated), *BLANK) for name, evaluated in variants.items()]
    rows += [
        (f"floor: {name.replace('_', ' ')}", _percent(value), "", "", *BLANK) for name, value in record.floors.items()
    ]
    level = f"{record.config.evaluation.confidence:.0%} interval"
    title = f"{task.name}, {record.config.evaluation.split} split, {headline(task)}, model {record.config.model.name}"
    if record.gold_use.scored:
        title = f"{title} [SEEN]"
    if record.protocol.mark:
        title = f"{title} [{record.protocol.mark}]"
    terminal.table(title, ("", "score", level, "n", "official", "reference"), rows)
    if method != "few_shot_icl":
        terminal.say(
            f"{method} - few-shot ICL: {_points(gain.value)} points "
            f"[{_points(gain.ci_low)}, {_points(gain.ci_high)}], {_chance(gain.p)} (paired)"
        )
        for name, over in record.gains.items():
            terminal.say(
                f"{method} - {name}: {_points(over.value)} points [{_points(over.ci_low)}, {_points(over.ci_high)}], "
                f"{_chance(over.p)} (paired)"
            )


def _print_about(record: RunRecord, terminal: Terminal) -> None:
    """What is behind the scores: data, protocol, warnings."""
    if record.outcome.candidates:
        found = counts(record.outcome)
        beside = {"other pairs": found["train"] - found["synthetic"], "copies": found["demonstration_copies"]}
        more = "".join(f", and {count} {what}" for what, count in beside.items() if count)
        terminal.say(
            f"synthetic pairs {pairs_used(record.config)}: {found['synthetic']} of {found['proposed']} proposals{more}"
        )
    for sentence in _about_the_data(record):
        terminal.say(sentence)
    if record.protocol.frozen is False:
        terminal.say(
            "unfrozen: a test task's test split without a frozen setting; a sweep writes one for frozen_config=…"
        )
    if record.protocol.lock is not None and not record.protocol.lock["same_model"]:
        terminal.say("the setting was frozen with another model")
    if record.protocol.test_openings is not None:
        terminal.say(f"openings of this test split so far: {record.protocol.test_openings}")
    if record.protocol.other_openings:
        terminal.say(
            f"not counted: {record.protocol.other_openings} openings of other instances under this task's name"
        )
    for path, lines in record.protocol.reset_logs.items():
        terminal.say(f"{path} was cut or deleted: {lines} openings were restored from the other log")
    if record.protocol.other_split is not None:
        terminal.say(f"not the protocol's split of this task: {record.protocol.other_split}")
    if record.gold_use.scored:
        seen = f"{record.gold_use.scored} of the {len(record.instances)} instances"
        terminal.say(f"not a test: {seen} it is scored on were used to make the model (see its provenance file)")
    if record.overlaps:
        terminal.say(f"synthetic inputs that overlap the evaluation inputs: {len(record.overlaps)} (see result.json)")
    for warning in record.outcome.warnings:
        terminal.say(f"warning: {warning}")
    if record.stages and all(stage.hit for stage in record.stages.values()):
        terminal.say("every stage was found in the store; nothing was computed")


def _about_the_data(record: RunRecord) -> tuple[str, ...]:
    result = {
        "status": record.outcome.status,
        "claims_gold": record.gold_use.claims,
        "seen_instances": record.gold_use.scored,
        "counts": counts(record.outcome),
        "instances": {"evaluated": len(record.instances)},
        "drops": dict(zip(("inputs", "outputs"), drops(record.outcome), strict=True)),
    }
    return describe(record.config, result, record.task).data


def headline(task: TaskSpec) -> str:
    """The metric, and what of an answer it is of."""
    labelled = task.is_classification and task.metric in ("exact_match", "accuracy")
    return f"{task.metric} of {READ[task.label_extraction]}" if labelled else task.metric


def _row(name: str, evaluated: Evaluated) -> tuple[str, str, str, str]:
    score = evaluated.score
    interval = f"{_percent(score.ci_low)} to {_percent(score.ci_high)}"
    return name, _percent(score.value), interval, str(score.n)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"

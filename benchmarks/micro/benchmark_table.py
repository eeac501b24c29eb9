"""What the runs of the micro benchmark add up to: a table in Markdown, CSV and JSON."""

import dataclasses
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.micro.benchmark_tasks import BenchmarkTask
from selfguide.core.errors import DataError
from selfguide.core.files import read_jsonl
from selfguide.core.tables import Sheet, to_csv, to_markdown
from selfguide.evaluation.crossed import crossed_gain

HEADER = (
    "task", "few-shot ICL", "ICL, neutral", "few-shot finetune", "SELF-GUIDE", "gain", "valid inputs",
    "asked label right", "annotation right", "pairs", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run: scores in percent; validity and agreements by the oracle, which only this report reads."""

    task: str
    family: str
    seed: int
    icl: float
    neutral: float
    few_shot_finetune: float
    selfguide: float
    valid: float | None
    label_right: float | None
    annotation_right: float | None
    pairs: int
    seconds: float
    frozen: bool = False
    icl_hits: tuple[float, ...] = dataclasses.field(repr=False, default=())
    neutral_hits: tuple[float, ...] = dataclasses.field(repr=False, default=())
    finetune_hits: tuple[float, ...] = dataclasses.field(repr=False, default=())
    selfguide_hits: tuple[float, ...] = dataclasses.field(repr=False, default=())

    def line(self) -> str:
        """One line for the terminal."""
        return (
            f"{self.task:18s} seed {self.seed}  few-shot ICL {self.icl:5.1f}  neutral {self.neutral:5.1f}  "
            f"few-shot finetune {self.few_shot_finetune:5.1f}  "
            f"SELF-GUIDE {self.selfguide:5.1f}  valid inputs {_percent(self.valid)}"
        )


def read_run(task: BenchmarkTask, seed: int, folder: Path, neutral_folder: Path) -> Run:
    """The run in a folder, measured against the oracle, beside few-shot ICL with a neutral instruction.

    Raises `DataError` if it has no few-shot finetuning.
    """
    result = json.loads((folder / "result.json").read_text())
    candidates = folder / "candidates.jsonl"
    rows = list(read_jsonl(folder / "predictions.jsonl"))
    accepted = [c for c in (read_jsonl(candidates) if candidates.exists() else ()) if c["samples"]]
    truths = [task.truth(c["input"]) for c in accepted]
    requested = [t == c["label"] for t, c in zip(truths, accepted, strict=True) if c["label"] is not None]
    right = [
        t == c["output"] for t, c in zip(truths, accepted, strict=True) if c["output"] is not None and t is not None
    ]
    if not all("few_shot_finetune" in row["controls"] for row in rows):
        raise DataError(f"{folder}: has no few_shot_finetune beside the score; leave evaluation.controls=true")
    control = [float(row["controls"]["few_shot_finetune"][1]) for row in rows]
    icl = [float(r["baseline_score"]) for r in rows]
    tuned = [float(r["tuned_score"]) for r in rows]
    neutral = [float(r["baseline_score"]) for r in read_jsonl(neutral_folder / "predictions.jsonl")]
    return Run(
        task=task.name,
        family=task.family,
        seed=seed,
        icl=100 * float(np.mean(icl)),
        neutral=100 * float(np.mean(neutral)),
        few_shot_finetune=100 * float(np.mean(control)),
        selfguide=100 * float(np.mean(tuned)),
        valid=_share([t is not None for t in truths]),
        label_right=_share(requested),
        annotation_right=_share(right),
        pairs=result["counts"]["train"],
        seconds=result["seconds"]["total"],
        frozen=bool(result["frozen"]),
        icl_hits=tuple(icl),
        neutral_hits=tuple(neutral),
        finetune_hits=tuple(control),
        selfguide_hits=tuple(tuned),
    )


@dataclass(frozen=True)
class Difference:
    """Of two columns in points: mean over tasks, 95 % interval, p."""

    mean: float
    low: float
    high: float
    p: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} points (95 % interval {self.low:+.1f} to {self.high:+.1f}, p = {self.p:.3f})"


def difference(runs: Sequence[Run], first: str, second: str) -> Difference:
    """First less second. The tasks are the sample: the seeds of a task share its instances and what makes it easy."""
    gain = crossed_gain(
        [
            np.array([np.subtract(getattr(run, first), getattr(run, second)) for run in runs if run.task == task])
            for task in dict.fromkeys(run.task for run in runs)
        ],
        sampled_tasks=True,
    )
    return Difference(100 * gain.value, 100 * gain.ci_low, 100 * gain.ci_high, gain.p)


def write_tables(runs: Sequence[Run], folder: Path, command: str, seconds: float) -> str:
    """Write table.md, runs.csv and summary.json; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    over_icl = difference(runs, "selfguide_hits", "icl_hits")
    over_neutral = difference(runs, "selfguide_hits", "neutral_hits")
    over_finetune = difference(runs, "selfguide_hits", "finetune_hits")
    setting = "frozen on the validation tasks" if all(r.frozen for r in runs) else "UNFROZEN"
    rows = [_row(name, [run for run in runs if run.task == name]) for name in dict.fromkeys(run.task for run in runs)]
    lines = [
        f"`{command}`",
        "",
        f"Setting: {setting}.",
        "",
        to_markdown(Sheet("", HEADER, [*rows, _row("**mean**", runs)])),
        "",
        f"SELF-GUIDE less few-shot ICL: {over_icl}",
        f"SELF-GUIDE less few-shot ICL with a neutral instruction: {over_neutral}",
        f"SELF-GUIDE less few-shot finetune: {over_finetune}",
        "",
        f"Exact match in percent, means over {len({r.seed for r in runs})} seeds (each with other demonstrations), "
        f"{len(runs[0].icl_hits)} instances of each task; "
        'neutral: few-shot ICL with the instruction "Go." instead of the task\'s; '
        "intervals are t intervals over tasks, p is of the same t test, or of sign flips over tasks if larger. "
        "Valid inputs: share of the accepted "
        "synthetic inputs that are inputs of the task by its oracle; asked label right: share whose true label "
        "is the one asked for; annotation "
        "right: share of the valid inputs with the right vote. "
        f"{len(runs)} runs; their stages took {sum(r.seconds for r in runs):.0f} s in all on {platform.machine()}.",
        "",
    ]
    text = "\n".join(lines)
    (folder / "table.md").write_text(text, encoding="utf-8")
    fields = [f.name for f in dataclasses.fields(Run) if not f.name.endswith("_hits")]
    rows_of_runs = [{name: getattr(run, name) for name in fields} for run in runs]
    (folder / "runs.csv").write_text(to_csv(fields, rows_of_runs), encoding="utf-8")
    summary = {
        "command": command,
        "seconds": round(seconds, 1),
        "gain_over_icl": dataclasses.asdict(over_icl),
        "gain_over_neutral_icl": dataclasses.asdict(over_neutral),
        "gain_over_few_shot_finetune": dataclasses.asdict(over_finetune),
        "runs": rows_of_runs,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return text


def _row(name: str, runs: Sequence[Run]) -> list[str]:
    def mean(field: str) -> str:
        values = [v for r in runs if (v := getattr(r, field)) is not None]
        return f"{np.mean(values):.1f}" if values else "–"

    gain = float(np.mean([r.selfguide - r.icl for r in runs]))
    scores = [mean(field) for field in ("icl", "neutral", "few_shot_finetune", "selfguide")]
    rest = [mean(field) for field in ("valid", "label_right", "annotation_right", "pairs", "seconds")]
    return [name, *scores, f"{gain:+.1f}", *rest]


def _share(values: Sequence[bool]) -> float | None:
    return 100 * float(np.mean(values)) if values else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"

"""What one job of a sweep gave: one setting on one task with one seed."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfguide.core.errors import DataError
from selfguide.core.files import canonical_json

Setting = Mapping[str, Any]
Cell = tuple[str, int]
"""A task and a seed."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """Scores from 0 to 1. `scores` and `baselines` are per instance, in the same order; empty if unknown."""

    task: str
    seed: int
    score: float
    baseline: float | None = None
    status: str = "ok"
    metric: str | None = None
    scores: tuple[float, ...] = ()
    baselines: tuple[float, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # of the stages this job computed
    saved_seconds: float = 0.0  # of the stages it found in the store
    tokens: int = 0  # prompts and answers of the stages this job computed
    folder: str = ""

    @property
    def cell(self) -> Cell:
        """Which of its trial's jobs this is."""
        return self.task, self.seed

    def to_json(self) -> dict[str, Any]:
        """A JSON object; whole numbers lose their `.0` to keep long lists short."""
        content = dataclasses.asdict(self)
        for name in ("scores", "baselines"):
            content[name] = [int(x) if float(x).is_integer() else x for x in content[name]]
        return content

    def problem(self) -> str | None:
        """Which of its numbers is no score, in one line: a NaN would win, or lose, by the order of the tasks."""
        numbers = [
            ("score", [self.score]),
            ("baseline", [] if self.baseline is None else [self.baseline]),
            ("score of an instance", self.scores),
            ("baseline of an instance", self.baselines),
        ]
        wrong = [(name, x) for name, values in numbers for x in values if not 0 <= x <= 1]
        return f"the {wrong[0][0]} is {wrong[0][1]}; allowed: 0 to 1" if wrong else None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "JobResult":
        """The inverse of `to_json`."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        for name in ("scores", "baselines"):
            known[name] = tuple(float(x) for x in known.get(name, ()))
        return cls(**known)


def read_result(folder: Path, task: str, seed: int) -> JobResult | None:
    """The result a finished run left in `folder`; None where there is no `result.json`."""
    file = folder / "result.json"
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    if content["score"] is None:
        raise DataError(f"{folder}: nothing was measured (the task has no instances), so there is nothing to choose by")
    seconds = {name: float(value) for name, value in content.get("seconds", {}).items() if name != "total"}
    cached = {name for name, how in content.get("cache", {}).items() if how == "hit"}
    scores, baselines = _instances(folder / "predictions.jsonl")
    tokens = {name: t for name, t in content.get("tokens", {}).items() if name not in cached}
    return JobResult(
        task=task,
        seed=seed,
        score=float(content["score"]["value"]),
        baseline=float(content["baseline"]["value"]),
        status=content["status"],
        metric=content.get("metric"),
        scores=scores,
        baselines=baselines,
        floors={name: float(value) for name, value in content.get("floors", {}).items()},
        seconds=round(sum(value for name, value in seconds.items() if name not in cached), 3),
        saved_seconds=round(sum(value for name, value in seconds.items() if name in cached), 3),
        tokens=sum(int(t.get("prompt", 0)) + int(t.get("generated", 0)) for t in tokens.values()),
        folder=str(folder),
    )


def _instances(file: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not file.exists():
        return (), ()
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return tuple(row["tuned_score"] for row in rows), tuple(row["baseline_score"] for row in rows)


def identity(setting: Setting) -> str:
    """Equal for equal settings whatever the order of their keys; `1`, `1.0`, `true` and `"1"` are four values.

    Twelve digits of a number count: a grid's arithmetic makes 0.30000000000000004 of 0.3.
    """
    rounded = {k: float(f"{v:.12g}") if isinstance(v, float) else v for k, v in setting.items()}
    return canonical_json(rounded)


def describe(setting: Setting) -> str:
    """A setting for people, as it would be typed on the command line; two may look alike."""
    return " ".join(f"{key}={short(value)}" for key, value in setting.items())


def short(value: Any) -> str:
    """A value for tables: floats with as many digits as they need, at most five."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return f"{value:.5g}" if isinstance(value, float) else str(value)

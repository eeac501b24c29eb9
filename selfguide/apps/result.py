"""A finished run in Python: its scores, its data, and its model, ready to answer."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfguide.analysis.folder import RunFolder
from selfguide.core.optional import optional
from selfguide.evaluation.statistics import Gain, Interval

if TYPE_CHECKING:
    from selfguide.apps.model import TunedModel
    from selfguide.synthesis.candidates import Candidate

BASE = "few_shot_icl"


@dataclass(frozen=True)
class Result:
    """What a run left in `folder`; files are read when asked for."""

    folder: Path

    @cached_property
    def run(self) -> RunFolder:
        """The folder as the project's other tools read it."""
        return RunFolder.open(self.folder)

    @property
    def status(self) -> str:
        """ "ok", or "empty_dataset" where every proposal was dropped."""
        return str(self.run.result["status"])

    @property
    def scores(self) -> dict[str, Interval]:
        """Score from 0 to 1 with interval, by name: `few_shot_icl` (base model), controls, the method.

        Empty where nothing was measured.
        """
        result = self.run.result
        if result["score"] is None:
            return {}
        named = {BASE: result["baseline"], **result["controls"], result["method"]: result["score"]}
        return {name: Interval(**score) for name, score in named.items()}

    @property
    def gain(self) -> Gain | None:
        """The method over few-shot ICL on the same instances, paired; None where nothing was measured."""
        gain = self.run.result["gain"]
        return None if gain is None else Gain(**gain)

    @property
    def gains(self) -> dict[str, Gain]:
        """The method over each control, paired."""
        return {name: Gain(**gain) for name, gain in self.run.result["gains"].items()}

    @property
    def dataset(self) -> Any:
        """The pairs that were trained on, as a `datasets.Dataset` with the columns `input` and `output`."""
        pairs = self.run.pairs
        columns = {"input": [pair.input for pair in pairs], "output": [pair.output for pair in pairs]}
        return optional("datasets", "Result.dataset", "hub").Dataset.from_dict(columns)

    @property
    def candidates(self) -> "list[Candidate]":
        """Every proposal with its samples, its votes, and why it was dropped."""
        return self.run.candidates

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.folder / "report.html"

    def model(self) -> "TunedModel":
        """The finetuned model with the prompt that it was trained on. Raises `DataError` if nothing was trained."""
        from selfguide.apps.model import TunedModel

        return TunedModel(self.run)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{100 * s.value:.1f}</td><td>{100 * s.ci_low:.1f} to {100 * s.ci_high:.1f}"
            "</td></tr>"
            for name, s in self.scores.items()
        )
        return f"<table>{rows or '<tr><td>nothing was measured</td></tr>'}</table><p>{escape(str(self.report))}</p>"

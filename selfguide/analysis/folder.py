"""Reading a run folder: the files of the contract, as they are on disk."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from selfguide.analysis.description import Description, describe
from selfguide.analysis.details import FILE as DETAILS
from selfguide.analysis.details import config_of
from selfguide.config.renamed import renamed_in
from selfguide.config.schema import RunConfig
from selfguide.core.errors import DataError
from selfguide.core.files import read_jsonl
from selfguide.core.paths import expanded
from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.vote import sample_share


@dataclass(frozen=True)
class RunFolder:
    """A finished run. Files are read when asked for."""

    path: Path

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """The run in `path`. Raises `DataError` if there is no finished run."""
        folder = expanded(path)
        if not (folder / "result.json").exists():
            raise DataError(f"{folder}: no finished run there (no result.json)")
        return cls(folder)

    @property
    def name(self) -> str:
        """How tables and pages call the run: the last two parts of its path."""
        return "/".join(self.path.absolute().parts[-2:])

    @cached_property
    def result(self) -> dict[str, Any]:
        """`result.json`."""
        return self._json("result.json")

    @cached_property
    def details(self) -> dict[str, Any]:
        """`details.json`. Raises `DataError` for a folder that has none, or one with knobs that were renamed."""
        if not (self.path / DETAILS).exists():
            raise DataError(f"{self.path}: no {DETAILS}; run the task again, its stages are in the store")
        details = self._json(DETAILS)
        for problem in renamed_in(details["config"]):
            raise DataError(f"{self.path}: of an earlier version ({problem}); run the task again")
        return details

    @cached_property
    def config(self) -> RunConfig:
        """The configuration, typed."""
        return config_of(self.details)

    @cached_property
    def task(self) -> TaskSpec:
        """The task as the method saw it."""
        saved = self.details["task"]
        texts = {name: tuple(saved.get(name, ())) for name in ("labels", "noise_terms", "inputs")}
        return TaskSpec(**{**saved, **texts, "demonstrations": tuple(Example(**d) for d in saved["demonstrations"])})

    @cached_property
    def description(self) -> Description:
        """What the run did, in sentences."""
        return describe(self.config, self.result, self.task)

    def vote_share(self, candidate: Candidate) -> float | None:
        """Share of the samples that gave the candidate's output; None: no vote was held."""
        return None if candidate.share is None else sample_share(self.task, candidate, self.config.annotation)

    @cached_property
    def candidates(self) -> list[Candidate]:
        """All proposals, `[]` for a method that makes none."""
        return [Candidate.from_row(row) for row in self._rows("candidates.jsonl")]

    @cached_property
    def pairs(self) -> list[Example]:
        """The training pairs, `[]` for a method that makes none."""
        return [Example(row["input"], row["output"]) for row in self._rows("dataset.jsonl")]

    @cached_property
    def predictions(self) -> list[dict[str, Any]]:
        """Gold: evaluation inputs, references and both answers."""
        return self._rows("predictions.jsonl")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{self.path / name}: not JSON: {error}") from error
        return content

    def _rows(self, name: str) -> list[dict[str, Any]]:
        file = self.path / name
        return list(read_jsonl(file)) if file.exists() else []

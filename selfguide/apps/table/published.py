"""Published values that stand beside ours: read from a file in which each names its source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.analysis.folder import RunFolder
from selfguide.core.errors import DataError
from selfguide.core.paths import config_dir


@dataclass
class Published:
    """A value of a paper or of its code.

    `on` is a task or a group of tasks, or a list of them: their mean, or with `largest` the best. `over` is there for
    a gain: few-shot ICL, or the label of another row.
    """

    table: str = MISSING
    row: str = MISSING
    on: Any = MISSING
    metric: str = MISSING
    model: str = MISSING
    source: str = MISSING
    score: float | None = None
    gain: float | None = None
    over: str | None = None
    largest: bool = False

    @property
    def places(self) -> list[str]:
        """Tasks or groups."""
        return [self.on] if isinstance(self.on, str) else list(self.on)

    def is_of(self, run: RunFolder) -> bool:
        """Whether a run has the published model, by its name or its path, on a task that is not of the bundled ones.

        The model is the student; with a teacher of its own it is called `student taught by teacher`.
        """
        config = run.details["config"]
        student, encoder = config["model"], config["student"]["kind"] != "causal"
        names = _names({"path": config["student"]["encoder"]["path"]} if encoder else student)
        if config["teacher"]["kind"] == "other":
            names = {f"{name}_taught_by_{teacher}" for name in names for teacher in _names(config["teacher"]["model"])}
        return config["task"]["source"] != "micro" and _plain(self.model) in names


def published(name: str, table: str) -> list[Published]:
    """The published values of a table, in the order of the file: a path, or the name of one in conf/.

    Raises `DataError` if there is no such file, and for a value without its source.
    """
    file = Path(name) if Path(name).exists() else config_dir() / name
    if not file.exists():
        raise DataError(f"published: {name} does not exist; published=null goes without")
    values = []
    try:
        rows = OmegaConf.load(file)
        for index, row in enumerate(rows):
            value = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Published), row))
            assert isinstance(value, Published)
            if (value.score is None) == (value.gain is None):
                raise DataError(f"{file}: entry {index + 1} must have either score or gain")
            if (value.gain is None) != (value.over is None):
                raise DataError(f"{file}: entry {index + 1}: a gain names what it is over, a score does not")
            if value.table == table:
                values.append(value)
    except OmegaConfBaseException as error:
        raise DataError(f"{file}: {str(error).splitlines()[0]}") from error
    return values


def _names(model: Mapping[str, Any]) -> set[str]:
    return {_plain(model[key].rpartition("/")[2]) for key in ("name", "path") if model.get(key)}


def _plain(name: str) -> str:
    """A model's name as files spell it: `Vicuna-7B-v1.5` is `vicuna_7b_v1_5`."""
    return re.sub(r"\W+", "_", name).lower()

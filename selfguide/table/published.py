"""Published values that stand beside ours: read from a file in which each names its source."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.paths import config_dir
from selfguide.errors import DataError


@dataclass
class Published:
    """A value of a paper or of its code. `on` is a task or a group of tasks; `over` is there for a gain."""

    table: str = MISSING
    row: str = MISSING
    on: str = MISSING
    metric: str = MISSING
    model: str = MISSING
    source: str = MISSING
    score: float | None = None
    gain: float | None = None
    over: str | None = None


def published(name: str, table: str) -> list[Published]:
    """The published values of a table, in the order of the file: a path, or the name of one in experiments/.

    Raises `DataError` if there is no such file, and for a value without its source.
    """
    file = Path(name) if Path(name).exists() else config_dir() / name
    if not file.exists():
        raise DataError(f"published: {name} does not exist; published=null does without")
    found = []
    try:
        rows = OmegaConf.load(file)
        for place, row in enumerate(rows):
            value = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Published), row))
            assert isinstance(value, Published)
            if (value.score is None) == (value.gain is None):
                raise DataError(f"{file}: entry {place + 1} has to have one of score and gain")
            if (value.gain is None) != (value.over is None):
                raise DataError(f"{file}: entry {place + 1}: a gain names what it is over, a score does not")
            if value.table == table:
                found.append(value)
    except OmegaConfBaseException as error:
        raise DataError(f"{file}: {str(error).splitlines()[0]}") from error
    return found

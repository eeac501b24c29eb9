"""The bundled benchmark of the micro model: task files in the package, in the Super-NI form."""

from pathlib import Path

from selfguide.data.raw import RawTask
from selfguide.data.sni import read_sni
from selfguide.errors import ConfigError

TASKS = Path(__file__).parent.parent / "micro" / "tasks"


def read_micro(task_id: str | None, name: str) -> RawTask:
    """The bundled task called `task_id`. Raises ConfigError with the names there are."""
    known = sorted(path.stem for path in TASKS.glob("*.json"))
    if task_id not in known:
        raise ConfigError(f"task.id: {task_id!r} is no bundled task; choose one of: {', '.join(known) or 'none'}")
    return read_sni(TASKS / f"{task_id}.json", name)

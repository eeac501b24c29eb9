"""The bundled benchmark of the micro model: task files in the package, in the Super-NI form."""

from selfguide.core.errors import ConfigError
from selfguide.core.paths import RESOURCES
from selfguide.tasks.raw import RawTask
from selfguide.tasks.sni import read_sni

TASKS = RESOURCES / "micro" / "tasks"


def read_micro(task_id: str | None, name: str) -> RawTask:
    """The bundled task called `task_id`. Raises ConfigError with the names there are."""
    known = sorted(path.stem for path in TASKS.glob("*.json"))
    if task_id not in known:
        raise ConfigError(f"task.id: {task_id!r} is not a bundled task; choose one of: {', '.join(known) or 'none'}")
    return read_sni(TASKS / f"{task_id}.json", name)

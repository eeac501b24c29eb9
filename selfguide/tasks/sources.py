"""Where tasks come from: one function for each `task.source`, from the configuration to the task as it was read."""

from selfguide.config.schema import DataConfig, TaskConfig
from selfguide.core.errors import ConfigError
from selfguide.core.paths import expanded
from selfguide.tasks.download import task_file, warn_if_changed
from selfguide.tasks.hub import read_hub
from selfguide.tasks.json_task import read_json_task
from selfguide.tasks.micro import read_micro
from selfguide.tasks.raw import RawTask
from selfguide.tasks.sni import find_file, read_sni, short_id


def sni(task: TaskConfig, data: DataConfig) -> RawTask:
    """A task of Super-NaturalInstructions, from `data.root` or downloaded."""
    if not task.id:
        raise ConfigError("task.id: required for task=sni; write e.g. task.id=task1344")
    if data.root:
        path = find_file(expanded(data.root, "data.root"), task.id)
        warn_if_changed(path, task.id)
    else:
        path = task_file(task.id, data)
    return read_sni(path, short_id(task.id))


def json(task: TaskConfig, data: DataConfig) -> RawTask:
    """The user's own file; without one, the configuration's instruction and demonstrations are the task."""
    if task.path is None and task.instruction and task.demonstrations:
        return RawTask(task.name, task.instruction, (), (), f"task={task.name}")
    return read_json_task(task.path, task.name, task.instruction)


def hub(task: TaskConfig, data: DataConfig) -> RawTask:
    """A data set of the Hugging Face hub."""
    return read_hub(task.hub, task.name, task.instruction, task.demonstrations)


def micro(task: TaskConfig, data: DataConfig) -> RawTask:
    """A bundled task."""
    return read_micro(task.id, task.name)

"""The labels a user writes in YAML, checked before any data is read."""

from typing import Any

from selfguide.config.schema import TaskConfig
from selfguide.core.errors import ConfigError
from selfguide.tasks.raw import normalized


def check_labels(task: TaskConfig) -> tuple[str, ...] | None:
    """The task's labels with white space normalised, None if they are to be inferred.

    Raises ConfigError for a label that YAML did not read as text (`yes`, `no`, `1`), an empty or
    repeated label, a single label, and labels of a generation task.
    """
    if task.labels is None:
        return None
    if task.family == "generation":
        raise ConfigError("task.labels: given, but task.family is generation; set task.labels=null or the family")
    labels: list[str] = []
    for raw in task.labels:
        if not isinstance(raw, str):
            raise ConfigError(_unquoted(raw, task.labels))
        label = normalized(raw)
        if not label:
            raise ConfigError("task.labels: one of the labels is empty")
        if label in labels:
            raise ConfigError(f"task.labels: {label!r} is listed twice")
        labels.append(label)
    if len(labels) < 2:
        raise ConfigError(f"task.labels: {labels} must hold at least two labels, or be null (inferred)")
    return tuple(labels)


def _unquoted(raw: Any, labels: list[Any]) -> str:
    if isinstance(raw, bool):
        words = "yes, true or on" if raw else "no, false or off"
        return (
            f"task.labels: {labels} holds the YAML boolean {str(raw).lower()} (an unquoted {words}); "
            f'quote every label: labels: ["yes", "no"]'
        )
    kind = "null" if raw is None else f"{type(raw).__name__} {raw}"
    return f'task.labels: {labels} holds the YAML {kind}; quote every label: labels: ["1", "2"]'

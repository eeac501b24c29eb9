"""The truth about a micro task, for reports only: no method reads it."""

from benchmarks.micro.benchmark_tasks import BY_NAME


def truth(task_name: str, text: str) -> str | None:
    """The right output of `text`; None when it is not a valid input (or the task has no oracle)."""
    task = BY_NAME.get(task_name.removeprefix("micro_"))
    return None if task is None else task.truth(text)
